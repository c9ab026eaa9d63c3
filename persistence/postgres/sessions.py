"""``playtime_sessions``: live and ended (R-PT-1 to R-PT-4, R-DB-1).

A heartbeat's statement touches no indexed column, so that it stays on its page (HOT): the flush's hottest path.
"""

from collections.abc import Sequence
from typing import Final

from actors.domain.ids import Micros, SessionId, ShardId, UserId
from actors.domain.model import EndedSession, LiveSession
from persistence.postgres.connection import Session
from persistence.postgres.pool import ConnectionPool
from persistence.postgres.rows import columns, write_rows

UPSERT_LIVE: Final = """
insert into playtime_sessions as stored (
    user_id, id, product_id, start_time, last_heartbeat_at, heartbeat_interval_seconds, device_id, platform,
    heartbeat_too_fast
)
select * from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::integer[], $7::text[], $8::text[],
    $9::boolean[]
)
on conflict (id) do update set
    last_heartbeat_at = excluded.last_heartbeat_at,
    heartbeat_interval_seconds = excluded.heartbeat_interval_seconds,
    heartbeat_too_fast = excluded.heartbeat_too_fast
where stored.end_time is null and stored.user_id = excluded.user_id
"""

UPSERT_ENDED: Final = """
insert into playtime_sessions as stored (
    user_id, id, product_id, start_time, last_heartbeat_at, heartbeat_interval_seconds, end_time, duration_seconds,
    end_reason, device_id, platform
)
select * from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::integer[], $7::timestamptz[],
    $8::integer[], $9::text[], $10::text[], $11::text[]
)
on conflict (id) do update set
    last_heartbeat_at = excluded.last_heartbeat_at,
    heartbeat_interval_seconds = excluded.heartbeat_interval_seconds,
    heartbeat_too_fast = false,
    end_time = excluded.end_time,
    duration_seconds = excluded.duration_seconds,
    end_reason = excluded.end_reason
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

_LIVE_COLUMNS: Final = """
user_id, id, product_id, start_time, last_heartbeat_at, heartbeat_interval_seconds, device_id, platform,
heartbeat_too_fast
"""

LOAD_LIVE: Final = f"""
select {_LIVE_COLUMNS} from playtime_sessions
where library_shard(user_id) = any($1::smallint[]) and end_time is null
"""

LOAD_ENDED: Final = """
select s.id, s.product_id, s.start_time, s.last_heartbeat_at, s.heartbeat_interval_seconds, s.end_time,
       s.duration_seconds, s.end_reason, s.device_id, s.platform
from unnest($1::uuid[], $2::uuid[]) as asked (user_id, id)
join playtime_sessions s on s.id = asked.id and s.user_id = asked.user_id
where s.end_time is not null
"""

_SHARDS_A_QUERY: Final = 8
"""A million live sessions are 31,000 for so many shards: what one turn of the loop can make objects of."""


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
        )
        for user_id, one in ended
    ]
    await write_rows(session, UPSERT_ENDED, rows)


async def flush_heartbeats(session: Session, beats: Sequence[tuple[SessionId, Micros, int]]) -> None:
    """Moves the last beat of live sessions that the table has; one it does not have is refused."""
    await write_rows(session, HEARTBEATS, beats)


async def load_live(pool: ConnectionPool, shards: Sequence[ShardId]) -> list[tuple[UserId, LiveSession]]:
    """Every live session of these shards."""
    found: list[tuple[UserId, LiveSession]] = []
    for first in range(0, len(shards), _SHARDS_A_QUERY):
        rows = await pool.fetch(LOAD_LIVE, shards[first : first + _SHARDS_A_QUERY])
        found.extend((UserId(user_id), LiveSession(*fields)) for user_id, *fields in rows)
    return found


async def load_ended(pool: ConnectionPool, asked: Sequence[tuple[UserId, SessionId]]) -> dict[SessionId, EndedSession]:
    """Those that have ended and belong to the user named with them."""
    if not asked:
        return {}
    rows = await pool.fetch(LOAD_ENDED, *columns(asked))
    return {SessionId(row["id"]): EndedSession(*row) for row in rows}
