-- The specification's tables as far as heartbeats and starts need them, in the shape ours have (the columns, the room
-- for HOT updates), without the indexes that only our engine asks for.
create table user_library_items (
    id uuid primary key,
    user_id uuid not null,
    product_id uuid not null,
    added_at timestamptz not null default now(),
    acquisition_type varchar(50) not null default 'purchase',
    installation_status varchar(50) not null default 'not_installed',
    last_played_at timestamptz,
    total_playtime_seconds bigint not null default 0,
    is_hidden boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (user_id, product_id)
);
create index idx_user_library_items_last_played on user_library_items (user_id, last_played_at desc nulls last);

create table playtime_sessions (
    id uuid primary key,
    user_id uuid not null,
    product_id uuid not null,
    start_time timestamptz not null,
    end_time timestamptz,
    duration_seconds integer,
    last_heartbeat_at timestamptz not null,
    platform varchar(50),
    created_at timestamptz not null default now(),
    device_id text not null default '',
    end_reason varchar(50),
    heartbeat_interval_seconds integer not null default 60
)
with (fillfactor = 70);
create index idx_playtime_sessions_user_product on playtime_sessions (user_id, product_id);
create index idx_playtime_sessions_active on playtime_sessions (user_id, product_id, end_time) where end_time is null;
create index idx_playtime_sessions_history on playtime_sessions (user_id, start_time desc, id desc);

create table outbox (
    id bigint generated always as identity primary key,
    user_id uuid not null,
    body bytea not null
);
