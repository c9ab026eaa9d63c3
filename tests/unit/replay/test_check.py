"""The check notices what must not be (promises 1 and 2): each test spoils one thing in a true account."""

from dataclasses import replace

import pytest

from actors.domain.ids import SECOND, format_time
from cluster.replay.check import Evidence, Item, Session, check
from cluster.replay.told import ToldEnd, ToldSession

USER, GAME, OTHER_GAME = "user", "game", "other game"
T0 = 1_700_000_000 * SECOND


def at(seconds: float) -> int:
    return T0 + round(seconds * SECOND)


FIRST = Session(
    session_id="first",
    user_id=USER,
    product_id=GAME,
    started_at=at(0),
    last_heartbeat_at=at(90.9),
    ended_at=at(90.9),
    duration_seconds=90,
)
SECOND_ONE = Session(
    session_id="second",
    user_id=USER,
    product_id=GAME,
    started_at=at(90.9),
    last_heartbeat_at=at(150),
    ended_at=at(150),
    duration_seconds=59,
)
ELSEWHERE = Session(
    session_id="elsewhere",
    user_id=USER,
    product_id=OTHER_GAME,
    started_at=at(10),
    last_heartbeat_at=at(70),
    ended_at=at(70),
    duration_seconds=60,
)
UNTOLD = Session(
    session_id="its answer was lost",
    user_id=USER,
    product_id=OTHER_GAME,
    started_at=at(80),
    last_heartbeat_at=at(80),
    ended_at=at(80),
    duration_seconds=0,
)
TOLD_ENDED = ToldSession(
    user_id=USER,
    product_id=GAME,
    session_id="first",
    start_time=format_time(at(0)),
    accepted_at=format_time(at(60)),
    end=ToldEnd(end_time=format_time(at(90.9)), duration_seconds=90),
)
TOLD_409 = ToldSession(
    user_id=USER,
    product_id=GAME,
    session_id="second",
    start_time=format_time(at(90.9)),
    accepted_at=format_time(at(150)),
)
TOLD_ELSEWHERE = ToldSession(
    user_id=USER, product_id=OTHER_GAME, session_id="elsewhere", start_time=format_time(at(10))
)
GAME_ITEM = Item(user_id=USER, product_id=GAME, total_seconds=149)
OTHER_ITEM = Item(user_id=USER, product_id=OTHER_GAME, total_seconds=60)

TRUE = Evidence(
    bought=[(USER, GAME), (USER, OTHER_GAME)],
    told=[TOLD_ENDED, TOLD_409, TOLD_ELSEWHERE],
    api_items=[GAME_ITEM, OTHER_ITEM],
    table_items=[GAME_ITEM, OTHER_ITEM],
    sessions=[FIRST, SECOND_ONE, ELSEWHERE, UNTOLD],
)


def kinds(evidence: Evidence) -> list[str]:
    return [violation.kind for violation in check(evidence)]


def with_session(session: Session, **changes: object) -> Evidence:
    changed = [replace(one, **changes) if one is session else one for one in TRUE.sessions]
    return replace(TRUE, sessions=changed)


def with_told(told: ToldSession, **changes: object) -> Evidence:
    return replace(TRUE, told=[replace(one, **changes) if one is told else one for one in TRUE.told])


def with_totals(seconds: int) -> Evidence:
    items = [replace(GAME_ITEM, total_seconds=seconds), OTHER_ITEM]
    return replace(TRUE, api_items=items, table_items=items)


def test_a_true_account_is_left_alone():
    assert check(TRUE) == []


@pytest.mark.parametrize("seconds", [148, 150, 298, 0])
def test_a_lost_or_doubled_second_is_noticed(seconds):
    """R-PT-4"""
    assert kinds(with_totals(seconds)) == ["total is not the sum of the sessions"]


def test_a_session_that_the_total_forgot_is_noticed():
    """R-PT-4"""
    extra = replace(ELSEWHERE, session_id="extra", started_at=at(200), ended_at=at(201.5), duration_seconds=1)
    assert kinds(replace(TRUE, sessions=[*TRUE.sessions, extra])) == ["total is not the sum of the sessions"]


def test_an_api_that_shows_another_total_is_noticed():
    """Promise 5"""
    stale = replace(TRUE, api_items=[replace(GAME_ITEM, total_seconds=90), OTHER_ITEM])
    assert kinds(stale) == ["API total is not the table's"]


@pytest.mark.parametrize("duration", [89, 91, None])
def test_a_duration_that_is_not_end_minus_start_in_whole_seconds_is_noticed(duration):
    """R-PT-4"""
    evidence = with_session(FIRST, duration_seconds=duration)
    assert "duration is not end minus start" in kinds(evidence)


def test_a_duration_is_cut_to_whole_seconds_never_rounded():
    """R-PT-4"""
    changed = with_session(SECOND_ONE, started_at=at(90.900001))
    told = [replace(one, start_time=format_time(at(90.900001))) if one is TOLD_409 else one for one in TRUE.told]
    assert check(replace(changed, told=told)) == []


def test_a_missing_item_is_noticed():
    """R-LIB-5"""
    assert kinds(replace(TRUE, api_items=[GAME_ITEM])) == ["item not shown"]
    assert kinds(replace(TRUE, table_items=[GAME_ITEM])) == ["item not in the table"]


def test_an_item_that_a_repeated_event_doubled_is_noticed():
    """R-LIB-5, R-EVT-3"""
    assert kinds(replace(TRUE, api_items=[*TRUE.api_items, OTHER_ITEM])) == ["item shown twice"]
    assert kinds(replace(TRUE, table_items=[*TRUE.table_items, OTHER_ITEM])) == ["item twice in the table"]


def test_a_missing_end_is_noticed():
    """Promise 1"""
    live = replace(with_session(FIRST, ended_at=None, duration_seconds=None), cut=True)
    assert "acknowledged end is missing" in kinds(live)


@pytest.mark.parametrize(
    "end",
    [
        ToldEnd(end_time=format_time(at(90.9)), duration_seconds=91),
        ToldEnd(end_time=format_time(at(90.900001)), duration_seconds=90),
    ],
)
def test_an_end_that_differs_from_what_was_acknowledged_is_noticed(end):
    """R-PT-9: a repeated end says the same"""
    assert kinds(with_told(TOLD_ENDED, end=end)) == ["acknowledged end differs"]


def test_a_session_that_ends_before_an_accepted_heartbeat_is_noticed():
    """R-PT-9"""
    evidence = with_told(TOLD_409, accepted_at=format_time(at(150) + 1))
    assert kinds(evidence) == ["ended before an accepted heartbeat"]


def test_a_live_session_that_forgot_an_accepted_heartbeat_is_noticed():
    """R-PT-9"""
    sessions = [FIRST, replace(SECOND_ONE, ended_at=None, duration_seconds=None, last_heartbeat_at=at(120)), ELSEWHERE]
    evidence = replace(with_totals(90), sessions=sessions, cut=True)
    assert kinds(evidence) == ["ended before an accepted heartbeat"]


def test_a_missing_start_is_noticed():
    """Promise 1"""
    evidence = replace(with_totals(90), sessions=[FIRST, ELSEWHERE, UNTOLD])
    assert kinds(evidence) == ["acknowledged start is missing"]
    evidence = replace(with_totals(59), sessions=[SECOND_ONE, ELSEWHERE, UNTOLD])
    assert kinds(evidence) == ["acknowledged start is missing", "acknowledged end is missing"]


def test_a_start_that_differs_from_what_was_acknowledged_is_noticed():
    """Promise 1"""
    assert kinds(with_told(TOLD_409, start_time=format_time(at(90)))) == ["acknowledged start differs"]
    assert kinds(with_told(TOLD_ELSEWHERE, product_id=GAME)) == ["acknowledged start differs"]


def test_overlapping_sessions_of_one_game_are_noticed():
    """R-PT-2"""
    evidence = with_session(UNTOLD, started_at=at(69.999999), ended_at=at(69.999999))
    assert kinds(evidence) == ["sessions overlap"]


def test_a_session_within_a_longer_one_is_noticed():
    """R-PT-2"""
    evidence = with_session(UNTOLD, started_at=at(20), ended_at=at(20))
    assert kinds(evidence) == ["sessions overlap"]


def test_a_session_left_live_is_noticed_unless_the_run_was_cut():
    """R-PT-3"""
    evidence = with_session(SECOND_ONE, ended_at=None, duration_seconds=None)
    ninety = with_totals(90)
    evidence = replace(evidence, api_items=ninety.api_items, table_items=ninety.table_items)
    assert kinds(evidence) == ["session still live"]
    assert check(replace(evidence, cut=True)) == []


def test_a_time_that_is_none_is_noticed_not_raised():
    assert kinds(with_told(TOLD_409, accepted_at="yesterday")) == ["answer is unreadable"]


def test_another_clock_rate_raises_no_alarm():
    """The same account on a clock that runs 1,000 times as fast: other lengths, and all of them right."""

    def stretched(session: Session) -> Session:
        start, end = (T0 + (moment - T0) * 1000 for moment in (session.started_at, session.ended_at))
        return replace(
            session,
            started_at=start,
            ended_at=end,
            last_heartbeat_at=end,
            duration_seconds=(end - start) // SECOND,
        )

    sessions = [stretched(session) for session in TRUE.sessions]
    told = [
        ToldSession(
            user_id=session.user_id,
            product_id=session.product_id,
            session_id=session.session_id,
            start_time=format_time(session.started_at),
            accepted_at=format_time(session.ended_at),
            end=ToldEnd(end_time=format_time(session.ended_at), duration_seconds=session.duration_seconds),
        )
        for session in sessions
    ]
    items = [replace(GAME_ITEM, total_seconds=150_000), replace(OTHER_ITEM, total_seconds=60_000)]
    evidence = replace(TRUE, told=told, sessions=sessions, api_items=items, table_items=items)
    assert check(evidence) == []
