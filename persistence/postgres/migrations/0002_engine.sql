-- What the engine keeps for itself: who owns what, the journal, the outbox (ARCHITECTURE.md's rules in SQL).

-- One row a host. Epoch and address change by a takeover alone; rows are never deleted, so that a host that comes
-- back goes on with its sequence.
create table hosts (
    host_id integer primary key check (host_id >= 0),
    epoch bigint not null default 0,
    address text
);

-- Who owns which shard. Every give raises the term.
create table shards (
    shard_id smallint primary key check (shard_id between 0 and 255),
    host_id integer not null,
    term bigint not null
);

-- How far the tables are. Not a column of hosts: a flush would block the commits' recovery and the takeover for it.
-- Updated once a second and host, so the few rows get room to stay on one page.
create table host_progress (
    host_id integer primary key check (host_id >= 0),
    flushed_seq bigint not null default 0
) with (fillfactor = 10);

-- One row a group commit. Bodies are msgpack: compressing them again costs more than it saves, and what fits a page
-- stays in the row (a fifth less CPU of a commit than with a TOAST row and its index entry).
create table journal (
    host_id integer not null,
    seq bigint not null,
    body bytea not null,
    primary key (host_id, seq)
)
-- Constantly cut: vacuum by what was deleted, whatever the table's size, at full speed; and freeze nothing early.
with (
    toast_tuple_target = 8160,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = -1,
    autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 20000,
    toast.autovacuum_vacuum_insert_threshold = -1,
    toast.autovacuum_vacuum_cost_delay = 0
);
alter table journal alter column body set storage external;

-- Integration events on their way to Kafka, published in the order of the primary key. The serial is no order (late
-- commits would be skipped): the distance of its ends tells cheaply about how many rows wait.
create table outbox (
    shard_id smallint not null,
    term bigint not null,
    seq bigint not null,
    n integer not null,
    user_id uuid not null,
    body bytea not null,
    created_at timestamptz not null default clock_timestamp(),
    id bigint generated always as identity,
    primary key (shard_id, term, seq, n)
)
with (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = -1,
    autovacuum_vacuum_cost_delay = 0
);
create index outbox_id on outbox (id);

-- The pair that ties service time to real time (development's accelerated clock); one row.
create table clock_origin (
    is_only boolean primary key default true check (is_only),
    real_at timestamptz not null,
    service_at timestamptz not null,
    rate double precision not null check (rate > 0 and rate < 'infinity')
);

-- What operators and the supervisor agree on while the service runs.
create table engine_settings (
    key text primary key,
    value text not null
);
