"""``SessionHistory`` in memory, by the letter of its promise: the days of a session are walked one by one."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

from msgspec.structs import replace

from actors.domain.ids import SECOND, Micros, ProductId, SessionId, UserId, from_datetime, to_datetime
from actors.domain.model import EndedSession, LiveSession, Platform
from actors.domain.spans import measure, minus, within
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
from tests.memory.database import MemoryDatabase
from tests.memory.store_faults import Operation

READ = Operation("read")


class MemorySessionHistory:
    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def page(
        self, user_id: UserId, *, product_id: ProductId | None, before: HistoryPosition | None, limit: int
    ) -> list[SessionRecord]:
        def work() -> list[SessionRecord]:
            sessions = self._sessions(lambda owner, _: owner == user_id)
            sessions.sort(key=_position, reverse=True)
            return [
                _record(session)
                for session in sessions
                if product_id in (None, session.product_id)
                and (before is None or _position(session) < (before.started_at, before.session_id))
            ][:limit]

        return await self._database.unlocked(READ, work)

    async def stats(self, user_id: UserId, *, now: Micros) -> PlaytimeStats:
        def work() -> PlaytimeStats:
            ended = self._sessions(lambda owner, session: owner == user_id and isinstance(session, EndedSession))
            return _stats([session for session in ended if isinstance(session, EndedSession)], now)

        return await self._database.unlocked(READ, work)

    def _sessions(
        self, wanted: Callable[[UserId, LiveSession | EndedSession], bool]
    ) -> list[LiveSession | EndedSession]:
        return [session for owner, session in self._database.tables.sessions.values() if wanted(owner, session)]


def _position(session: LiveSession | EndedSession) -> tuple[Micros, SessionId]:
    return (session.started_at, session.session_id)


def _record(session: LiveSession | EndedSession) -> SessionRecord:
    record = SessionRecord(
        session_id=session.session_id,
        product_id=session.product_id,
        started_at=session.started_at,
        last_heartbeat_at=session.last_heartbeat_at,
        device_id=session.device_id,
        platform=session.platform,
    )
    if isinstance(session, LiveSession):
        return record
    return replace(
        record,
        ended_at=session.ended_at,
        duration_s=session.duration_s,
        end_reason=session.end_reason,
        client_id=session.client_id,
    )


def _stats(sessions: list[EndedSession], now: Micros) -> PlaytimeStats:
    today = to_datetime(now).date()
    days: Counter[date] = Counter()
    products: dict[ProductId, list[int]] = {}
    platforms: dict[Platform | None, list[int]] = {}
    for session in sessions:
        days.update(_days_of(session))
        products.setdefault(session.product_id, []).append(session.duration_s)
        platforms.setdefault(session.platform, []).append(session.duration_s)
    first = today - timedelta(days=STATS_DAYS - 1)
    per_day = [DayPlaytime(day=day, seconds=s) for day, s in sorted(days.items()) if first <= day <= today and s]
    by_product = sorted(products.items(), key=lambda entry: (-sum(entry[1]), entry[0]))
    by_platform = sorted(platforms.items(), key=lambda entry: (-sum(entry[1]), entry[0] or "~"))
    return PlaytimeStats(
        total_s=sum(session.duration_s for session in sessions),
        total_sessions=len(sessions),
        last_two_weeks_s=sum(day.seconds for day in per_day),
        per_day=per_day,
        per_product=[
            ProductPlaytime(product_id=product_id, seconds=sum(s), sessions=len(s))
            for product_id, s in by_product[:STATS_PRODUCTS]
        ],
        per_platform=[
            PlatformPlaytime(platform=platform, seconds=sum(s), sessions=len(s)) for platform, s in by_platform
        ],
    )


def _days_of(session: EndedSession) -> dict[date, int]:
    """A day gets the whole seconds up to its end, less what the days before got."""
    seconds: dict[date, int] = {}
    given = 0
    day = to_datetime(session.started_at).date()
    counts = minus((session.started_at, session.ended_at), session.counted_elsewhere)
    while given < session.duration_s:
        until = measure(within(counts, (session.started_at, _end_of(day)))) // SECOND
        seconds[day], given = until - given, until
        day += timedelta(days=1)
    return seconds


def _end_of(day: date) -> Micros:
    return from_datetime(datetime.combine(day + timedelta(days=1), time(), UTC))
