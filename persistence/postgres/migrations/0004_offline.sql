-- Play that a client recorded while nobody heard it (R-PT-6). The row is the memory that a session was taken: its id is
-- made of the user and the client's UUID (actors.domain.offline.offline_session_id), for ever.

alter table playtime_sessions
    -- The UUID that the client gave to a session it recorded offline; null for all others.
    add column client_session_id uuid,
    -- What of this session's time other sessions of the same user and product count: from, to, from, to... Null when it
    -- counts all of its time itself. duration_seconds is without it.
    add column counted_elsewhere timestamptz[],
    add constraint playtime_sessions_counted_elsewhere_check check (
        cardinality(counted_elsewhere) > 0 and cardinality(counted_elsewhere) % 2 = 0
    ) not valid;

-- Whole seconds that a session counts from its start to a moment; what elsewhere (from, to, from, to...) counts is left
-- out.
create function library_counted_seconds(start_time timestamptz, until timestamptz, elsewhere timestamptz[])
    returns bigint language sql immutable parallel safe
    return floor(
        extract(epoch from greatest(until - start_time, interval '0'))
        - coalesce((
            select sum(extract(epoch from greatest(least(elsewhere[n + 1], until) - elsewhere[n], interval '0')))
            from generate_series(1, cardinality(elsewhere), 2) as n
        ), 0)
    )::bigint;

-- Of a client's Idempotency-Key: a digest of the request that it came with, so that another request with the same key is
-- told from the same one. Null for the ids that doors make for themselves.
alter table applied_commands add column request bytea;
