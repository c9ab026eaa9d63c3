"""Past sessions and statistics (R-PT-5)."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.domain.ids import SECOND, HostId, Micros, ProductId, SessionId, UserId, from_datetime
from actors.domain.model import EndedSession, Platform
from actors.history import (
    STATS_PRODUCTS,
    DayPlaytime,
    HistoryPosition,
    PlatformPlaytime,
    PlaytimeStats,
    ProductPlaytime,
)
from actors.ports import StoreUnavailable
from tests.contract.rows import batch, end_of, ended, live, new_product, new_user
from tests.contract.world import World

TODAY = date(2026, 3, 15)
NOW = from_datetime(datetime(2026, 3, 15, 18, 0, tzinfo=UTC))
DAY = 86_400 * SECOND


def at(day: date, hour: int = 0, minute: int = 0, second: float = 0) -> Micros:
    midnight = datetime.combine(day, time(), UTC)
    return from_datetime(midnight + timedelta(hours=hour, minutes=minute, seconds=second))


def played(start: int, end: int, product_id: ProductId | None = None, platform: Platform | None = "pc") -> EndedSession:
    return ended(
        counted_elsewhere=(),
        product_id=product_id or new_product(),
        started_at=Micros(start),
        last_heartbeat_at=Micros(end),
        ended_at=Micros(end),
        duration_s=(end - start) // SECOND,
        platform=platform,
    )


async def flushed(world: World, **rows: object) -> None:
    store = world.store(HostId(0))
    claim = await store.take_over("a:1")
    await store.flush(batch(claim.flushed_seq, **rows))


async def test_pages_are_newest_first_and_strictly_older_than_the_cursor(world: World) -> None:
    """R-PT-5: history, cursor; sessions of one start are told apart by id."""
    user, stranger = new_user(), new_user()
    start = at(TODAY)
    sessions = [played(start + n // 3 * SECOND, start + 3600 * SECOND) for n in range(14)]
    await flushed(
        world, sessions_ended=[*((user, one) for one in sessions), (stranger, played(start, start + 5 * SECOND))]
    )

    expected = sorted(((one.started_at, one.session_id) for one in sessions), reverse=True)
    found, before = [], None
    for _ in range(4):
        page = await world.history.page(user, product_id=None, before=before, limit=4)
        assert 0 < len(page) <= 4
        found += [(record.started_at, record.session_id) for record in page]
        before = HistoryPosition(started_at=page[-1].started_at, session_id=page[-1].session_id)
    assert found == expected
    assert await world.history.page(user, product_id=None, before=before, limit=4) == []


async def test_a_page_shows_live_and_ended_sessions_of_one_product(world: World) -> None:
    """A live session has no end, no duration and no reason yet."""
    user, game = new_user(), new_product()
    alive, over = live(product_id=game), ended(product_id=game, started_at=at(TODAY), platform=None)
    await flushed(world, sessions_live=[(user, alive), (user, live())], sessions_ended=[(user, over), (user, ended())])

    newer, older = await world.history.page(user, product_id=game, before=None, limit=10)
    assert (newer.session_id, newer.ended_at, newer.duration_s, newer.end_reason, newer.platform) == (
        over.session_id,
        over.ended_at,
        over.duration_s,
        over.end_reason,
        None,
    )
    assert (older.session_id, older.ended_at, older.duration_s, older.end_reason) == (
        alive.session_id,
        None,
        None,
        None,
    )
    assert (older.last_heartbeat_at, older.device_id, older.platform, older.product_id) == (
        alive.last_heartbeat_at,
        alive.device_id,
        alive.platform,
        game,
    )


async def test_who_never_played_has_empty_statistics(world: World) -> None:
    """Zeros, not an error."""
    user = new_user()
    await flushed(world, sessions_live=[(user, live())])
    assert await world.history.stats(user, now=NOW) == PlaytimeStats(
        total_s=0, total_sessions=0, last_two_weeks_s=0, per_day=[], per_product=[], per_platform=[]
    )
    assert await world.history.page(new_user(), product_id=None, before=None, limit=10) == []


async def test_a_session_over_midnight_is_split_to_the_second(world: World) -> None:
    """R-PT-4, R-PT-5: no second lost or doubled, fractions of a second included."""
    user = new_user()
    yesterday = TODAY - timedelta(days=1)
    session = played(at(yesterday, 23, 59, 58.4), at(TODAY, 0, 0, 1.3))
    ends_at_midnight = played(at(yesterday, 23, 59, 0), at(TODAY))
    await flushed(world, sessions_ended=[(user, session), (user, ends_at_midnight)])

    stats = await world.history.stats(user, now=NOW)
    assert session.duration_s == 2
    assert stats.per_day == [DayPlaytime(day=yesterday, seconds=61), DayPlaytime(day=TODAY, seconds=1)]
    assert stats.total_s == stats.last_two_weeks_s == 62


async def test_the_last_two_weeks_are_fourteen_utc_days_with_today(world: World) -> None:
    """Older play counts in the totals only; a session that reaches in counts with its part."""
    user, game = new_user(), new_product()
    first = TODAY - timedelta(days=13)
    sessions = [
        played(at(first - timedelta(days=1), 22), at(first, 0, 0, 7), game),
        played(at(first - timedelta(days=40)), at(first - timedelta(days=40), 1), game),
        played(at(TODAY, 23, 59, 57), at(TODAY + timedelta(days=1), 0, 0, 9), game),
    ]
    await flushed(world, sessions_ended=[(user, one) for one in sessions])

    stats = await world.history.stats(user, now=NOW)
    assert stats.per_day == [DayPlaytime(day=first, seconds=7), DayPlaytime(day=TODAY, seconds=3)]
    assert stats.last_two_weeks_s == 10
    assert stats.total_s == sum(one.duration_s for one in sessions)
    assert stats.per_product == [ProductPlaytime(product_id=game, seconds=stats.total_s, sessions=3)]


async def test_products_and_platforms_are_ordered_by_play(world: World) -> None:
    """Most played first; ties of products by id; platforms that no client named are None."""
    user = new_user()
    low, high, most = *sorted([new_product(), new_product()]), new_product()
    start = at(TODAY)
    sessions = [
        played(start, start + 5 * SECOND, high, None),
        played(start, start + 5 * SECOND, low, "web"),
        played(start, start + 2 * SECOND, most, "web"),
        played(start, start + 9 * SECOND, most, "mobile"),
    ]
    await flushed(world, sessions_ended=[(user, one) for one in sessions])

    stats = await world.history.stats(user, now=NOW)
    assert [(one.product_id, one.seconds, one.sessions) for one in stats.per_product] == [
        (most, 11, 2),
        (low, 5, 1),
        (high, 5, 1),
    ]
    assert stats.per_platform == [
        PlatformPlaytime(platform="mobile", seconds=9, sessions=1),
        PlatformPlaytime(platform="web", seconds=7, sessions=2),
        PlatformPlaytime(platform=None, seconds=5, sessions=1),
    ]


async def test_only_the_most_played_products_are_named(world: World) -> None:
    """Bounded, whatever a user plays; the totals count all."""
    user, start = new_user(), at(TODAY)
    sessions = [played(start, start + (n + 1) * SECOND) for n in range(STATS_PRODUCTS + 5)]
    await flushed(world, sessions_ended=[(user, one) for one in sessions])

    stats = await world.history.stats(user, now=NOW)
    expected = sorted(sessions, key=lambda one: -one.duration_s)[:STATS_PRODUCTS]
    assert [one.product_id for one in stats.per_product] == [one.product_id for one in expected]
    assert stats.total_sessions == STATS_PRODUCTS + 5


SPANS = st.lists(
    st.tuples(st.integers(-3 * DAY, 20 * DAY), st.integers(0, 3 * DAY) | st.just(0) | st.just(DAY)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spans=SPANS)
async def test_days_add_up_to_the_sessions(world: World, spans: list[tuple[int, int]]) -> None:
    """R-PT-5: within the window, the days are exactly the total, whatever the fractions and midnights."""
    user = new_user()
    base = at(TODAY - timedelta(days=9))
    sessions = [played(base - begin // 5, base - begin // 5 + length) for begin, length in spans]
    await flushed(world, sessions_ended=[(user, one) for one in sessions])

    stats = await world.history.stats(user, now=NOW)
    assert stats.total_s == sum(one.duration_s for one in sessions)
    assert stats.last_two_weeks_s == sum(day.seconds for day in stats.per_day) == stats.total_s
    assert sum(one.seconds for one in stats.per_product) == stats.total_s
    assert sum(one.seconds for one in stats.per_platform) == stats.total_s


async def test_a_day_has_what_its_sessions_count_themselves(world: World) -> None:
    """R-PT-6, R-PT-5: what another session counts is left out of the day it lies on; fractions add up to whole seconds
    as in any other session."""
    user, yesterday = new_user(), TODAY - timedelta(days=1)
    begin, end = at(yesterday, 22), at(TODAY, 2)
    elsewhere = (
        (at(yesterday, 22), at(yesterday, 22, 30, 0.25)),
        (at(yesterday, 23, 59), at(TODAY, 0, 1)),
        (at(TODAY, 1, 59, 59.5), at(TODAY, 2)),
    )
    counted_us = (end - begin) - sum(hi - lo for lo, hi in elsewhere)
    session = replace(played(begin, end), counted_elsewhere=elsewhere, duration_s=counted_us // SECOND)
    await flushed(world, sessions_ended=[(user, session)])

    stats = await world.history.stats(user, now=NOW)
    first = 7200 - 1800 - 60 - 1
    assert stats.per_day == [
        DayPlaytime(day=yesterday, seconds=first),
        DayPlaytime(day=TODAY, seconds=session.duration_s - first),
    ]
    assert stats.total_s == session.duration_s == 7200 - 1800 - 60 + 7200 - 60 - 1
    (record,) = await world.history.page(user, product_id=None, before=None, limit=2)
    assert (record.client_id, record.duration_s) == (session.client_id, session.duration_s)


async def test_history_without_a_server_can_be_tried_again(world: World) -> None:
    """``StoreUnavailable``, and nothing else."""
    user = UserId(bytes(16))
    await world.stop()
    with pytest.raises(StoreUnavailable):
        await world.history.page(
            user, product_id=None, before=HistoryPosition(started_at=NOW, session_id=SessionId(bytes(16))), limit=1
        )
    with pytest.raises(StoreUnavailable):
        await world.history.stats(user, now=NOW)


async def test_a_session_that_ends_later_shows_its_end(world: World) -> None:
    """Read your writes, once the flush has passed (promise 5)."""
    user, session = new_user(), live()
    await flushed(world, sessions_live=[(user, session)])
    await flushed(world, sessions_ended=[(user, end_of(session))])
    (record,) = await world.history.page(user, product_id=None, before=None, limit=10)
    assert (record.end_reason, record.duration_s) == ("client", 7)
