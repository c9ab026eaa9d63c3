"""A whole replay against a little service that has the real rules: exact, whatever the network does."""

import asyncio
from dataclasses import replace
from random import Random

import pytest

from cluster.replay.evidence import Inspector, Known
from cluster.replay.figures import Figures
from cluster.replay.patience import Patience, Retries
from cluster.replay.pause import Pause
from cluster.replay.plan import PlanOptions, make_plan
from cluster.replay.playfile import PlayRow
from cluster.replay.run import Pace, Replay, Surroundings
from cluster.replay.service import Service, http_session

RATE = 3000.0
PACE = Pace(rate=RATE, workers=40, lanes=4, seed=5, patience=Patience(total_s=20, attempt_s=5))


def a_plan(users=12, games=5, hours=2.0):
    rows = [PlayRow(user=f"u{n}", title=f"g{g}", hours=hours + g) for n in range(users) for g in range(games)]
    return make_plan(rows, PlanOptions(seed=5))


def a_replay(service, plan, pace=PACE) -> Replay:
    surroundings = Surroundings(
        url=service.url,
        headers_of=lambda user_id: {"Authorization": f"Bearer {user_id}"},
        open_topic=service.topic,
        tables=service,
    )
    return Replay(plan, pace, surroundings)


async def test_everything_is_bought_and_played_and_the_ledger_is_exact(little_service):
    service = little_service(rate=RATE)
    plan = a_plan()
    async with service.serving():
        outcome = await a_replay(service, plan).run()
    assert outcome.violations == []
    assert outcome.is_exact
    assert len(outcome.bought) == plan.items == outcome.figures.plays_done
    assert outcome.figures.users_done == len(plan.users)
    assert outcome.figures.beats > plan.items
    assert {(told.user_id, told.product_id) for told in outcome.told} == outcome.bought
    assert 1 < service.most_live_at_once <= PACE.lanes


async def test_a_play_lasts_as_long_as_planned(little_service):
    service = little_service(rate=RATE)
    plan = a_plan(users=3, games=2, hours=20)
    async with service.serving():
        outcome = await a_replay(service, plan).run()
    _, sessions = await service.read([user.user_id for user in plan.users])
    assert outcome.is_exact
    assert sum(session.duration_seconds for session in sessions) >= plan.seconds - len(sessions)


async def test_lost_answers_refusals_and_repeated_events_change_nothing(little_service):
    """Promises 1 and 2, as far as a client is concerned"""
    service = little_service(rate=RATE, trouble=0.2, kafka_trouble=0.3)
    plan = a_plan()
    async with service.serving():
        outcome = await a_replay(service, plan).run()
    assert outcome.figures.retries.total() > 50
    assert outcome.figures.failures == []
    assert outcome.violations == []
    assert outcome.figures.sessions_resumed > 0
    ids = [event["id"] for event in service.events_received]
    assert len(set(ids)) < len(ids)


async def test_when_the_service_has_ended_a_session_the_client_plays_the_rest_in_another(little_service):
    """R-PT-9"""
    service = little_service(rate=RATE)
    plan = a_plan(users=4, games=1, hours=30)
    async with service.serving():
        replay = a_replay(service, plan)
        running = asyncio.create_task(replay.run())
        while replay.outcome.figures.beats < 8:
            await asyncio.wait([running], timeout=0.002)
        service.end_all_silently()
        outcome = await running
    assert outcome.is_exact
    assert outcome.figures.ended_by_service >= 4
    assert len(outcome.told) > plan.items
    played = sum(session.duration_seconds for session in (await service.read([u.user_id for u in plan.users]))[1])
    assert played >= plan.seconds - len(outcome.told)


async def test_a_run_that_is_cut_ends_its_sessions_and_is_exact(little_service):
    service = little_service(rate=60.0)
    plan = a_plan(users=6, games=3, hours=50)
    async with service.serving():
        replay = a_replay(service, plan, replace(PACE, rate=60.0))
        running = asyncio.create_task(replay.run())
        while replay.outcome.figures.sessions_live < 10:
            await asyncio.wait([running], timeout=0.002)
        replay.pause.cut()
        outcome = await running
        _, sessions = await service.read([user.user_id for user in plan.users])
    assert outcome.cut
    assert outcome.is_exact
    assert outcome.figures.plays_done == 0
    assert all(session.ended_at is not None for session in sessions)


@pytest.mark.parametrize("believed", [RATE / 6, RATE * 20])
async def test_a_wrong_idea_of_the_clock_rate_is_no_violation(little_service, believed):
    service = little_service(rate=RATE)
    plan = a_plan(users=3, games=2, hours=0.1)
    async with service.serving():
        outcome = await a_replay(service, plan, replace(PACE, rate=believed)).run()
    assert outcome.violations == []


async def test_a_client_that_is_refused_is_recorded_with_the_answer(little_service):
    service = little_service(rate=RATE)
    plan = a_plan(users=1, games=6)
    async with service.serving():
        outcome = await a_replay(service, plan, replace(PACE, lanes=6)).run()
    assert not outcome.is_exact
    assert any("LIVE_SESSION_LIMIT_REACHED" in failure for failure in outcome.figures.failures)
    assert outcome.violations == []


async def test_a_service_that_never_answers_is_given_up(little_service):
    service = little_service(rate=RATE, trouble=1.0)
    plan = a_plan(users=2, games=1)
    async with service.serving():
        outcome = await a_replay(service, plan, replace(PACE, patience=Patience(total_s=0.3, attempt_s=0.2))).run()
    assert not outcome.is_exact
    assert outcome.violations is None
    assert "could not be made" in outcome.problem
    assert outcome.figures.failed >= 2


async def test_a_user_with_more_items_than_a_page_holds_is_seen_whole(little_service):
    """R-LIB-1"""
    service = little_service(rate=RATE)
    plan = a_plan(users=1, games=230, hours=-1e-9)
    async with service.serving():
        outcome = await a_replay(service, plan, replace(PACE, rate=1e6)).run()
    assert outcome.figures.items_seen == 230
    assert outcome.is_exact


async def test_the_check_looks_again_until_the_tables_have_followed(little_service):
    """Tables show an acknowledged write a moment later: that is no violation."""
    service = little_service(rate=RATE)
    plan = a_plan(users=2, games=2)
    async with service.serving():
        outcome = await a_replay(service, plan).run()
        late = LateTables(service, looks_until_there=2)
        figures = Figures()
        retries = Retries(patience=PACE.patience, pause=Pause(), random=Random(1), counted=figures.retries)
        async with http_session(connections=4) as http:
            client = Service(http, service.url, figures=figures, retries=retries)
            known = Known(users=[u.user_id for u in plan.users], bought=outcome.bought, told=outcome.told, cut=False)

            def inspector(settle_s):
                return Inspector(
                    late,
                    client,
                    headers_of=lambda user_id: {"Authorization": f"Bearer {user_id}"},
                    settle_s=settle_s,
                    poll_s=0.01,
                )

            assert await inspector(settle_s=0).inspect(known) != []
            assert await inspector(settle_s=20).inspect(known) == []


class LateTables:
    """Shows nothing the first times it is read."""

    def __init__(self, tables, *, looks_until_there):
        self._tables = tables
        self._looks = looks_until_there

    async def read(self, user_ids):
        self._looks -= 1
        return ([], []) if self._looks >= 0 else await self._tables.read(user_ids)
