"""A user's past sessions and playtime statistics, straight from ``playtime_sessions`` (R-PT-5).

Each answer is one statement, so its figures are of one moment and add up.
"""

from datetime import timedelta
from typing import Any, Final

from actors.domain.ids import Micros, ProductId, UserId, from_datetime, to_datetime
from actors.history import (
    STATS_DAYS,
    STATS_PRODUCTS,
    DayPlaytime,
    HistoryPosition,
    PlatformPlaytime,
    PlaytimeStats,
    ProductPlaytime,
    SessionRecord,
)
from persistence.postgres.pool import ConnectionPool

_COLUMNS: Final = """
id as session_id, product_id, start_time as started_at, last_heartbeat_at, end_time as ended_at,
duration_seconds as duration_s, end_reason, device_id, platform, client_session_id as client_id
"""

_FIRST_PAGE: Final = f"""
select {_COLUMNS} from playtime_sessions
where user_id = $1 and ($2::uuid is null or product_id = $2)
order by start_time desc, id desc limit $3
"""

_NEXT_PAGE: Final = f"""
select {_COLUMNS} from playtime_sessions
where user_id = $1 and ($2::uuid is null or product_id = $2) and (start_time, id) < ($4, $5)
order by start_time desc, id desc limit $3
"""

# A day gets the whole seconds that a session counts from its start to the day's end, less those to the day's beginning:
# every second is in one day, and a session's days add up to its duration. $2 is the first day's midnight, $3 the one
# after the last day.
_STATS: Final = """
with mine as materialized (
    select product_id, platform, start_time, end_time, duration_seconds, counted_elsewhere
    from playtime_sessions where user_id = $1 and end_time is not null
),
days as (
    select day, sum(
        library_counted_seconds(start_time, least(day + interval '1 day', end_time), counted_elsewhere)
        - library_counted_seconds(start_time, least(day, end_time), counted_elsewhere)
    ) as seconds
    from mine, generate_series(
        greatest(date_trunc('day', start_time, 'UTC'), $2::timestamptz),
        least(end_time, $3::timestamptz - interval '1 microsecond'),
        interval '1 day'
    ) as day
    where end_time > $2
    group by day
),
products as (
    select product_id, sum(duration_seconds) as seconds, count(*) as sessions
    from mine group by product_id order by seconds desc, product_id limit $4
)
select 'total' as figure, null::timestamptz as day, null::uuid as product_id, null::text as platform,
       coalesce(sum(duration_seconds), 0)::bigint as seconds, count(*) as sessions from mine
union all select 'day', day, null, null, seconds::bigint, 0 from days where seconds > 0
union all select 'product', null, product_id, null, seconds::bigint, sessions from products
union all select 'platform', null, null, platform, sum(duration_seconds)::bigint, count(*) from mine group by platform
"""


class PostgresSessionHistory:
    """See ``actors.history.SessionHistory``."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def page(
        self, user_id: UserId, *, product_id: ProductId | None, before: HistoryPosition | None, limit: int
    ) -> list[SessionRecord]:
        if before is None:
            rows = await self._pool.fetch(_FIRST_PAGE, user_id, product_id, limit)
        else:
            rows = await self._pool.fetch(_NEXT_PAGE, user_id, product_id, limit, before.started_at, before.session_id)
        return [SessionRecord(**row) for row in rows]

    async def stats(self, user_id: UserId, *, now: Micros) -> PlaytimeStats:
        today = to_datetime(now).replace(hour=0, minute=0, second=0, microsecond=0)
        first = from_datetime(today - timedelta(days=STATS_DAYS - 1))
        end = from_datetime(today + timedelta(days=1))
        return _assemble(await self._pool.fetch(_STATS, user_id, first, end, STATS_PRODUCTS))


def _assemble(rows: list[Any]) -> PlaytimeStats:
    figures: dict[str, list[Any]] = {"total": [], "day": [], "product": [], "platform": []}
    for row in rows:
        figures[row["figure"]].append(row)
    (total,) = figures["total"]
    days = sorted(figures["day"], key=lambda row: row["day"])
    products = sorted(figures["product"], key=lambda row: (-row["seconds"], row["product_id"]))
    platforms = sorted(figures["platform"], key=lambda row: (-row["seconds"], row["platform"] or "~"))
    return PlaytimeStats(
        total_s=total["seconds"],
        total_sessions=total["sessions"],
        last_two_weeks_s=sum(row["seconds"] for row in days),
        per_day=[DayPlaytime(day=to_datetime(row["day"]).date(), seconds=row["seconds"]) for row in days],
        per_product=[
            ProductPlaytime(product_id=row["product_id"], seconds=row["seconds"], sessions=row["sessions"])
            for row in products
        ],
        per_platform=[
            PlatformPlaytime(platform=row["platform"], seconds=row["seconds"], sessions=row["sessions"])
            for row in platforms
        ],
    )
