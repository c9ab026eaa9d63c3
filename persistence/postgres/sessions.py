"""``playtime_sessions``: live and ended (R-PT-1 to R-PT-4, R-DB-1).

A heartbeat's statement touches no indexed column, so that it stays on its page (HOT): the flush's hottest path.
"""

from collections.abc import Sequence
from typing import Final

from actors.domain.ids import Micros, ProductId, SessionId, UserId, format_time
from actors.domain.model import EndedSession, LiveSession
from actors.domain.offline import MAX_COUNTED_SPANS
from actors.domain.spans import Span, Spans, day_span, union
from persistence.postgres.connection import Session
from persistence.postgres.pool import ConnectionPool
from persistence.postgres.rows import columns, write_rows

UPSERT_LIVE: Final = """
insert into playtime_sessions as stored (
    user_id, id, product_id, start_time, last_heartbeat_at, heartbeat_interval_seconds, device_id, platform,
    heartbeat_too_fast, counted_elsewhere
)
select user_id, id, product_id, start_time, beat_at, interval_s, device_id, platform, too_fast, spans::timestamptz[]
from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::integer[], $7::text[], $8::text[],
    $9::boolean[], $10::text[]
) as live (user_id, id, product_id, start_time, beat_at, interval_s, device_id, platform, too_fast, spans)
on conflict (id) do update set
    last_heartbeat_at = excluded.last_heartbeat_at,
    heartbeat_interval_seconds = excluded.heartbeat_interval_seconds,
    heartbeat_too_fast = excluded.heartbeat_too_fast,
    counted_elsewhere = excluded.counted_elsewhere
where stored.end_time is null and stored.user_id = excluded.user_id
"""

UPSERT_ENDED: Final = """
insert into playtime_sessions as stored (
    user_id, id, product_id, start_time, last_heartbeat_at, heartbeat_interval_seconds, end_time, duration_seconds,
    end_reason, device_id, platform, client_session_id, counted_elsewhere
)
select user_id, id, product_id, start_time, beat_at, interval_s, end_time, duration_s, reason, device_id, platform,
       client_id, spans::timestamptz[]
from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::integer[], $7::timestamptz[],
    $8::integer[], $9::text[], $10::text[], $11::text[], $12::uuid[], $13::text[]
) as ended (
    user_id, id, product_id, start_time, beat_at, interval_s, end_time, duration_s, reason, device_id, platform,
    client_id, spans
)
on conflict (id) do update set
    last_heartbeat_at = excluded.last_heartbeat_at,
    heartbeat_interval_seconds = excluded.heartbeat_interval_seconds,
    heartbeat_too_fast = false,
    end_time = excluded.end_time,
    duration_seconds = excluded.duration_seconds,
    end_reason = excluded.end_reason,
    counted_elsewhere = excluded.counted_elsewhere
where stored.end_time is null and stored.user_id = excluded.user_id
"""

# A counted beat also ends a flood of beats that came too fast.
HEARTBEATS: Final = """
update playtime_sessions as stored set
    last_heartbeat_at = beat.at,
    heartbeat_interval_seconds = beat.interval_s,
    heartbeat_too_fast = false
from unnest($1::uuid[], $2::timestamptz[], $3::integer[]) as beat (id, at, interval_s)
where stored.id = beat.id and stored.end_time is null
"""

LOAD_ENDED: Final = """
select s.id, s.product_id, s.start_time, s.last_heartbeat_at, s.heartbeat_interval_seconds, s.end_time,
       s.duration_seconds, s.end_reason, s.device_id, s.platform, s.counted_elsewhere, s.client_session_id
from unnest($1::uuid[], $2::uuid[]) as asked (user_id, id)
join playtime_sessions s on s.id = asked.id and s.user_id = asked.user_id
where s.end_time is not null
"""

# Postgres makes one of what overlaps, so that what is read is no more than what must be known. By the end of sessions:
# those of a recent day are found without a look at the years before.
LOAD_COUNTED: Final = """
with asked as (
    select * from unnest($1::integer[], $2::uuid[], $3::timestamptz[], $4::timestamptz[]) as one (n, user_id, lo, hi)
),
merged as (
    select asked.n, s.product_id,
           unnest(range_agg(tstzrange(greatest(s.start_time, asked.lo), least(s.end_time, asked.hi)))) as span
    from asked
    join playtime_sessions s on s.user_id = asked.user_id and s.end_time > asked.lo and s.start_time < asked.hi
    where s.start_time < s.end_time
    group by asked.n, s.product_id
),
numbered as (select n, row_number() over (partition by n) as place, product_id, span from merged)
select n, place, product_id, lower(span) as lo, upper(span) as hi from numbered where place <= $5 + 1
"""


async def flush_live(session: Session, live: Sequence[tuple[UserId, LiveSession]]) -> None:
    """Writes live sessions, new ones and such of which more than the beat has changed."""
    rows = [
        (
            user_id,
            one.session_id,
            one.product_id,
            one.started_at,
            one.last_heartbeat_at,
            one.interval_s,
            one.device_id,
            one.platform,
            one.too_fast,
            _spans_text(one.counted_elsewhere),
        )
        for user_id, one in live
    ]
    await write_rows(session, UPSERT_LIVE, rows)


async def flush_ended(session: Session, ended: Sequence[tuple[UserId, EndedSession]]) -> None:
    """Writes ended sessions, whether or not the table saw them live. An ended session never changes again: a second
    end is refused."""
    rows = [
        (
            user_id,
            one.session_id,
            one.product_id,
            one.started_at,
            one.last_heartbeat_at,
            one.interval_s,
            one.ended_at,
            one.duration_s,
            one.end_reason,
            one.device_id,
            one.platform,
            one.client_id,
            _spans_text(one.counted_elsewhere),
        )
        for user_id, one in ended
    ]
    await write_rows(session, UPSERT_ENDED, rows)


async def flush_heartbeats(session: Session, beats: Sequence[tuple[SessionId, Micros, int]]) -> None:
    """Moves the last beat of live sessions that the table has; one it does not have is refused."""
    await write_rows(session, HEARTBEATS, beats)


async def load_ended(pool: ConnectionPool, asked: Sequence[tuple[UserId, SessionId]]) -> dict[SessionId, EndedSession]:
    """Those that have ended and belong to the user named with them."""
    if not asked:
        return {}
    rows = await pool.fetch(LOAD_ENDED, *columns(asked))
    return {
        SessionId(session_id): EndedSession(*(session_id, *fields, spans(elsewhere), client_id))
        for session_id, *fields, elsewhere, client_id in rows
    }


async def load_counted(
    pool: ConnectionPool, asked: Sequence[tuple[UserId, Sequence[int]]]
) -> list[dict[ProductId, Spans] | None]:
    """See ``EntityLoader.counted``."""
    ranges = [
        (n, user_id, begin, end)
        for n, (user_id, days) in enumerate(asked)
        for begin, end in union(day_span(day) for day in days)
    ]
    found: list[dict[ProductId, Spans] | None] = [{} for _ in asked]
    if not ranges:
        return found
    pieces: list[dict[ProductId, list[Span]]] = [{} for _ in asked]
    for n, place, product_id, begin, end in await pool.fetch(LOAD_COUNTED, *columns(ranges), MAX_COUNTED_SPANS):
        pieces[n].setdefault(ProductId(product_id), []).append((Micros(begin), Micros(end)))
        if place > MAX_COUNTED_SPANS:
            found[n] = None
    return [
        None if known is None else {product_id: union(spans) for product_id, spans in one.items()}
        for known, one in zip(found, pieces, strict=True)
    ]


def _spans_text(spans: Spans) -> str | None:
    """An array of times, (from, to) after (from, to): arrays of arrays must not differ in length, texts may."""
    return "{" + ",".join(format_time(at) for span in spans for at in span) + "}" if spans else None


def spans(times: Sequence[Micros] | None) -> Spans:
    return () if times is None else tuple(zip(times[::2], times[1::2], strict=True))
