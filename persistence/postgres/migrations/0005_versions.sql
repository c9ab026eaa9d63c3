-- Rolling upgrades: which version may be written, and which processes run (ARCHITECTURE.md, "Versions").

-- What the body of an event on its way looks like; rows of a release that does not know the column are version 1.
alter table outbox add column version smallint not null default 1;

-- The cluster's flag, one row: the version of journal bodies, outbox rows and link frames that every process reads.
create table cluster_version (
    is_only boolean primary key default true check (is_only),
    version smallint not null default 1 check (version >= 1),
    changed_at timestamptz not null default clock_timestamp()
);
insert into cluster_version default values;

-- Every process of the cluster, while it runs: it says so every few seconds.
create table processes (
    process_id uuid primary key,
    name text not null,
    node text not null,
    release text not null,
    newest_version smallint not null,
    serving boolean not null,
    started_at timestamptz not null default clock_timestamp(),
    seen_at timestamptz not null default clock_timestamp()
)
with (fillfactor = 50);
