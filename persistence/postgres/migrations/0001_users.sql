-- What users own and did: the specification's tables (section 4.2.1) and what remembers that a command was applied.
-- Only a host's flush writes them (persistence/postgres/flush_session.py).

-- The shard of an entity: the first byte of the SHA-256 of the id's 16 bytes, as actors.domain.ids.shard_of computes
-- it. Immutable, so that an index can select the rows of one shard.
create function library_shard(entity_id uuid) returns smallint
    language sql immutable strict parallel safe
    return get_byte(sha256(uuid_send(entity_id)), 0)::smallint;

create table user_library_items (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null,
    product_id uuid not null,
    added_at timestamptz not null default now(),
    acquisition_type varchar(50) not null check (
        acquisition_type in ('purchase', 'gift', 'key_activation', 'family_shared_access', 'free_to_play')
    ),
    shared_from_user_id uuid,
    installation_status varchar(50) not null default 'not_installed' check (
        installation_status in ('not_installed', 'installing', 'installed', 'updating', 'repair_needed', 'error')
    ),
    last_played_at timestamptz,
    total_playtime_seconds bigint not null default 0,
    is_hidden boolean not null default false,
    user_defined_categories uuid[],
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- Not in the specification's DDL, but its text and events need them (R-DB-4).
    user_rating smallint check (user_rating between 1 and 5),
    install_event_at timestamptz,
    -- When the last session ended: the next one begins no earlier, whatever this server's clock says by then.
    last_session_end_at timestamptz,
    unique (user_id, product_id)
);
create index idx_user_library_items_user_id on user_library_items (user_id);
create index idx_user_library_items_last_played on user_library_items (user_id, last_played_at desc nulls last);

create table playtime_sessions (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null,
    product_id uuid not null,
    start_time timestamptz not null,
    end_time timestamptz,
    duration_seconds integer,
    last_heartbeat_at timestamptz not null,
    platform varchar(50),
    created_at timestamptz not null default now(),
    -- Not in the specification's DDL (R-DB-4, R-PT-9, R-PT-10).
    device_id text not null default '',
    end_reason varchar(50) check (end_reason in ('client', 'timeout', 'takeover', 'erased')),
    heartbeat_interval_seconds integer not null default 60,
    -- A beat that came too early was recorded since the last counted one (R-PT-8): live sessions only.
    heartbeat_too_fast boolean not null default false
)
-- A heartbeat rewrites its row about once a minute. With room left on the page and no index on what changes
-- (last_heartbeat_at must never get one), the new version stays on its page and touches no index (HOT).
with (fillfactor = 70);
create index idx_playtime_sessions_user_product on playtime_sessions (user_id, product_id);
create index idx_playtime_sessions_active on playtime_sessions (user_id, product_id, end_time) where end_time is null;
-- A host that takes a shard over loads all its live sessions.
create index idx_playtime_sessions_live_by_shard on playtime_sessions (library_shard(user_id)) where end_time is null;
-- History pages, newest first (R-PT-5).
create index idx_playtime_sessions_history on playtime_sessions (user_id, start_time desc, id desc);

-- What a fair client does not do, for operators (R-PT-8).
create table playtime_anomalies (
    id uuid primary key,
    user_id uuid not null,
    kind varchar(50) not null check (kind in ('heartbeat_too_fast', 'live_session_limit')),
    occurred_at timestamptz not null,
    product_id uuid not null,
    session_id uuid,
    created_at timestamptz not null default now()
);
create index idx_playtime_anomalies_user on playtime_anomalies (user_id, occurred_at desc);

-- Every purchase ever applied, for the user's life: what makes a repeated event change nothing (R-EVT-3).
create table applied_purchases (
    user_id uuid not null,
    order_id uuid not null,
    product_id uuid not null,
    applied_at timestamptz not null,
    primary key (user_id, order_id, product_id)
);

-- Command ids with their stored answers. applied_at is real time, never the accelerated service time. A day's
-- partition is dropped as a whole when nobody may need it any more; the default one is a net for rows whose day has
-- no partition yet.
create table applied_commands (
    user_id uuid not null,
    command_id uuid not null,
    applied_at timestamptz not null,
    reply bytea not null,
    primary key (user_id, command_id, applied_at)
) partition by range (applied_at);
create table applied_commands_default partition of applied_commands default;
