"""A whole replay against the real door and the real rules: exact, whatever the network does."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from actors.domain.commands import EndSession, Heartbeat
from actors.domain.ids import UserId, format_time, parse_id
from cluster.replay.evidence import Inspector, Known
from cluster.replay.figures import Figures
from cluster.replay.patience import Patience, Retries
from cluster.replay.pause import Pause
from cluster.replay.plan import Plan, PlanOptions, make_plan
from cluster.replay.playfile import PlayRow
from cluster.replay.run import Outcome, Pace, Replay, Surroundings
from cluster.replay.service import Service, http_session
from cluster.replay.told import ToldEnd
from tests.support.replay_world import ReplayWorld, replay_world

RATE = 3000.0
PACE = Pace(rate=RATE, workers=40, lanes=4, seed=5, patience=Patience(total_s=20, attempt_s=5))
DEADLINE_S = 60
SHORTER_THAN_A_BEAT_S = 20


def a_plan(users: int = 12, games: int = 5, hours: float = 2.0) -> Plan:
    rows = [PlayRow(user=f"u{n}", title=f"g{g}", hours=hours + g) for n in range(users) for g in range(games)]
    return make_plan(rows, PlanOptions(seed=5))


def a_replay(world: ReplayWorld, plan: Plan, pace: Pace = PACE) -> Replay:
    surroundings = Surroundings(url=world.url, headers_of=world.headers_of, open_topic=world.topic, tables=world)
    return Replay(plan, pace, surroundings)


async def run_until(replay: Replay, condition: Callable[[], bool]) -> "asyncio.Task[Outcome]":
    running = asyncio.create_task(replay.run())
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.wait([running], timeout=0.002)
    return running


def played_s(world: ReplayWorld, plan: Plan) -> int:
    return sum(s.duration_seconds or 0 for user in plan.users for s in world.sessions_of(user.user_id))


async def test_everything_is_bought_and_played_and_the_ledger_is_exact():
    plan = a_plan()
    async with replay_world(rate=RATE) as world:
        outcome = await a_replay(world, plan).run()
    assert outcome.figures.failures == []
    assert outcome.violations == []
    assert outcome.is_exact
    assert len(outcome.bought) == plan.items == outcome.figures.plays_done
    assert outcome.figures.users_done == len(plan.users)
    assert outcome.figures.beats > plan.items
    assert {(told.user_id, told.product_id) for told in outcome.told} == outcome.bought
    assert 1 < world.engine.most_live_at_once <= PACE.lanes


async def test_a_client_remembers_what_it_was_told():
    """R-PT-9: the check can only hold the service to what is remembered."""
    plan = a_plan()
    async with replay_world(rate=RATE) as world:
        outcome = await a_replay(world, plan).run()
    ended = {session.session_id: session for user in plan.users for session in world.sessions_of(user.user_id)}
    for told in outcome.told:
        session = ended[told.session_id]
        assert told.start_time == format_time(session.started_at)
        accepted = world.engine.accepted.get(parse_id(told.session_id))
        assert told.accepted_at == (None if accepted is None else format_time(accepted))
        if told.end is not None:
            assert told.end == ToldEnd(
                end_time=format_time(session.ended_at), duration_seconds=session.duration_seconds
            )
    assert sum(told.end is not None for told in outcome.told) >= plan.items
    assert sum(told.accepted_at is not None for told in outcome.told) >= plan.items


async def test_the_payment_service_sends_some_events_twice():
    """R-EVT-3: the ledger above and here is exact all the same."""
    plan = a_plan(users=4, games=60, hours=0.01)
    late = [order for user in plan.users for order in user.orders[1::2] if order.sent_twice]
    assert late, "the plan has none that is repeated when its user is done"
    async with replay_world(rate=RATE) as world:
        outcome = await a_replay(world, plan, replace(PACE, rate=RATE * 20)).run()
    assert outcome.is_exact
    received = Counter(event["id"] for event in world.events_received)
    assert received == {order.event_id: 1 + order.sent_twice for user in plan.users for order in user.orders}
    assert max(received.values()) == 2


async def test_a_play_lasts_as_long_as_planned():
    plan = a_plan(users=3, games=2, hours=20)
    async with replay_world(rate=RATE) as world:
        outcome = await a_replay(world, plan).run()
    assert outcome.is_exact
    assert played_s(world, plan) >= plan.seconds - len(outcome.told)


async def test_lost_requests_and_answers_change_nothing():
    """Promises 1 and 2, as far as a client is concerned"""
    plan = a_plan()
    async with replay_world(rate=RATE / 5, wire_trouble=0.15, kafka_trouble=0.3) as world:
        outcome = await a_replay(world, plan, replace(PACE, rate=RATE / 5)).run()
    assert outcome.figures.retries["connection"] > 20
    assert outcome.figures.retries["KafkaTimeoutError"] > 0
    assert outcome.figures.sessions_resumed > 0
    assert outcome.figures.failures == []
    assert outcome.violations == []


async def test_a_client_tries_again_when_the_service_asks_it_to():
    """R-ERR-1: 503 with Retry-After"""
    plan = a_plan(users=1, games=1)
    async with replay_world(rate=RATE) as world:
        world.engine.unavailable_for = 1
        outcome = await a_replay(world, plan).run()
    assert outcome.figures.retries == {"503": 1}
    assert outcome.is_exact


@pytest.mark.parametrize("command", [Heartbeat, EndSession])
async def test_when_the_service_has_ended_a_session_the_client_plays_the_rest_in_another(command):
    """R-PT-9: also if it hears of it only when it ends the session itself"""
    plan = a_plan(users=4, games=1, hours=10)
    async with replay_world(rate=RATE) as world:
        world.engine.end_sessions_before = [command] * 4
        outcome = await a_replay(world, plan).run()
    assert outcome.is_exact
    assert outcome.figures.ended_by_service >= 4
    assert len(outcome.told) > plan.items
    assert played_s(world, plan) >= plan.seconds - len(outcome.told)


async def test_a_play_may_take_any_number_of_sessions_as_long_as_it_goes_on():
    """R-PT-9"""
    plan = a_plan(users=1, games=1, hours=30)
    async with replay_world(rate=RATE) as world:
        replay = a_replay(world, plan)
        figures = replay.outcome.figures
        user_id = UserId(parse_id(plan.users[0].user_id))
        running = await run_until(replay, lambda: figures.beats > 0)
        async with asyncio.timeout(DEADLINE_S):
            for sessions in range(1, 13):
                beats = figures.beats
                while figures.beats == beats or figures.sessions_started < sessions:
                    await asyncio.wait([running], timeout=0.001)
                world.engine.fall_silent(user_id)
        outcome = await running
    assert outcome.is_exact
    assert outcome.figures.ended_by_service >= 12


async def test_a_run_that_is_cut_ends_its_sessions_and_is_exact():
    plan = a_plan(users=6, games=3, hours=50)
    async with replay_world(rate=1.0) as world:
        replay = a_replay(world, plan, replace(PACE, rate=1.0))
        running = await run_until(replay, lambda: replay.outcome.figures.sessions_live >= 2)
        replay.pause.cut()
        async with asyncio.timeout(SHORTER_THAN_A_BEAT_S):
            outcome = await running
        sessions = [session for user_id, _ in outcome.bought for session in world.sessions_of(user_id)]
    assert outcome.cut
    assert outcome.is_exact
    assert outcome.figures.plays_done == 0
    assert sessions
    assert all(session.ended_at is not None for session in sessions)


async def test_a_clock_rate_that_is_too_high_is_no_violation():
    """Beats come too fast (R-PT-8), the ledger is exact."""
    plan = a_plan(users=3, games=2, hours=30)
    async with replay_world(rate=RATE) as world:
        outcome = await a_replay(world, plan, replace(PACE, rate=RATE * 20)).run()
    assert outcome.is_exact


async def test_a_clock_rate_that_is_too_low_ends_with_a_word_and_no_violation():
    """Every session ends before its client's first beat (R-PT-3)."""
    plan = a_plan(users=3, games=1, hours=10)
    async with replay_world(rate=RATE) as world:
        outcome = await a_replay(world, plan, replace(PACE, rate=RATE / 15)).run()
    assert outcome.violations == []
    assert outcome.figures.failed == 3
    assert "ended before their first beat" in outcome.figures.failures[0]


async def test_a_client_that_is_refused_is_recorded_with_the_answer():
    plan = a_plan(users=1, games=6, hours=20)
    async with replay_world(rate=RATE) as world:
        outcome = await a_replay(world, plan, replace(PACE, lanes=6)).run()
    assert not outcome.is_exact
    assert any("LIVE_SESSION_LIMIT_REACHED" in failure for failure in outcome.figures.failures)
    assert outcome.violations == []


async def test_a_service_that_never_answers_is_given_up():
    plan = a_plan(users=2, games=1)
    async with replay_world(rate=RATE, wire_trouble=1.0) as world:
        outcome = await a_replay(world, plan, replace(PACE, patience=Patience(total_s=0.3, attempt_s=0.2))).run()
    assert not outcome.is_exact
    assert outcome.violations is None
    assert outcome.problem is not None
    assert "could not be made" in outcome.problem
    assert outcome.figures.failed >= 2


async def test_a_user_with_more_items_than_a_page_holds_is_seen_whole():
    """R-LIB-1"""
    rows = [PlayRow(user="u", title=str(n), hours=0.01) for n in range(130)]
    plan = make_plan(rows, PlanOptions())
    async with replay_world(rate=RATE) as world:
        async with asyncio.timeout(DEADLINE_S):
            outcome = await a_replay(world, plan).run()
    assert outcome.figures.items_seen == 130
    assert outcome.is_exact


class LateTables:
    """Shows nothing the first times it is read."""

    def __init__(self, world: ReplayWorld, looks: int) -> None:
        self._world = world
        self._looks = looks

    async def read(self, user_ids):
        self._looks -= 1
        return ([], []) if self._looks >= 0 else await self._world.read(user_ids)


async def test_the_check_looks_again_until_the_tables_have_followed():
    """Tables show an acknowledged write a moment later: that is no violation."""
    plan = a_plan(users=2, games=2)
    async with replay_world(rate=RATE) as world, http_session(connections=4) as http:
        outcome = await a_replay(world, plan).run()
        late = LateTables(world, looks=3)
        figures = Figures()
        retries = Retries(patience=PACE.patience, pause=Pause(), random=Random(1), counted=figures.retries)
        service = Service(http, world.url, figures=figures, retries=retries)
        users = [user.user_id for user in plan.users]
        known = Known(users=users, bought=outcome.bought, told=outcome.told, cut=False)

        async def look(settle_s: float) -> list:
            inspector = Inspector(late, service, headers_of=world.headers_of, settle_s=settle_s, poll_s=0.01)
            return await inspector.inspect(known)

        assert await look(settle_s=0) != []
        assert await look(settle_s=20) == []
