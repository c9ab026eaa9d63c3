"""The offline replay: the same sessions each time, exactly the hours of the file, and a judge that notices all else."""

import json
from datetime import timedelta
from itertools import pairwise
from math import inf
from random import Random

import pytest

from actors.domain.ids import SECOND, Micros, from_datetime
from cluster.replay.check import Item, Session
from cluster.replay.offline_check import check_offline
from cluster.replay.offline_plan import DAY_S, FIRST_DAY, SESSION_S, batches_of, sessions_of
from cluster.replay.offline_run import OfflineReplay
from cluster.replay.patience import Patience
from cluster.replay.plan import Plan, PlanOptions, UserPlan, make_plan
from cluster.replay.playfile import PlayRow
from cluster.replay.run import Outcome, Pace, Surroundings
from tests.support.replay_world import ReplayWorld, replay_world

ROWS = [
    PlayRow(user="ann", title="long", hours=70.25),
    PlayRow(user="ann", title="short", hours=0.1),
    PlayRow(user="ann", title="short", hours=0.1),
    PlayRow(user="bob", title="long", hours=11754.0),
    PlayRow(user="cid", title="never", hours=0.0),
]


def a_plan(rows: list[PlayRow] = ROWS) -> Plan:
    return make_plan(rows, PlanOptions(scale=1.0, cap_hours=inf, seed=3, offline=True))


def a_replay(world: ReplayWorld, plan: Plan) -> OfflineReplay:
    pace = Pace(rate=1.0, workers=4, lanes=1, seed=3, patience=Patience(total_s=20))
    return OfflineReplay(
        plan, pace, Surroundings(url=world.url, headers_of=world.headers_of, open_topic=world.topic, tables=world)
    )


async def replayed(world: ReplayWorld, plan: Plan) -> Outcome:
    return await a_replay(world, plan).run()


def test_sessions_are_laid_out_over_days_and_add_up() -> None:
    """At most 12 hours at a time and 20 a day, one after another; none overlaps, none is empty."""
    plan = a_plan()
    for user in plan.users:
        sessions = list(sessions_of(user))
        for play in user.plays:
            assert sum(one.seconds for one in sessions if one.product_id == play.product_id) == play.seconds
        assert all(0 < one.seconds <= SESSION_S for one in sessions)
        assert all(earlier.end <= later.begin for earlier, later in pairwise(sessions))
        days: dict[int, int] = {}
        for one in sessions:
            assert one.begin.date() == (one.end - timedelta(seconds=1)).date()
            days[one.begin.toordinal()] = days.get(one.begin.toordinal(), 0) + one.seconds
        assert max(days.values()) <= DAY_S
        assert sessions[0].begin == FIRST_DAY
    assert [sum(play.seconds for play in user.plays) for user in plan.users] == [70 * 3600 + 900 + 720, 11754 * 3600, 1]


def test_a_second_plan_of_a_file_is_the_same() -> None:
    first, second = a_plan(), a_plan()
    assert [list(batches_of(user, 3)) for user in first.users] == [list(batches_of(user, 3)) for user in second.users]
    ids = [one.client_id for user in first.users for one in sessions_of(user)]
    assert len(set(ids)) == len(ids)
    online = make_plan(ROWS, PlanOptions(seed=3))
    assert not {user.user_id for user in first.users} & {user.user_id for user in online.users}


async def test_every_total_is_the_files_and_twice_changes_nothing() -> None:
    """R-PT-6: to the second; the second run is answered as the first."""
    random = Random(5)
    rows = ROWS[:3] + [
        PlayRow(user=f"user {n % 6}", title=f"game {n}", hours=random.uniform(0, 100)) for n in range(40)
    ]
    plan = a_plan(rows)
    async with replay_world(rate=1.0) as world:
        first = await replayed(world, plan)
        rows_before = {user.user_id: world.sessions_of(user.user_id) for user in plan.users}
        second = await replayed(world, plan)
        assert {user.user_id: world.sessions_of(user.user_id) for user in plan.users} == rows_before
    for outcome in (first, second):
        assert outcome.figures.failures == []
        assert outcome.is_exact
        assert outcome.figures.users_done == len(plan.users)
        assert outcome.figures.played_s == plan.seconds


async def test_lost_requests_and_answers_change_nothing() -> None:
    """Promises 1 and 2, as far as a client is concerned."""
    plan = a_plan([PlayRow(user=f"user {n % 3}", title=f"game {n}", hours=150.0) for n in range(12)])
    async with replay_world(rate=1.0, wire_trouble=0.15, kafka_trouble=0.3) as world:
        outcome = await replayed(world, plan)
    assert outcome.figures.retries["connection"] > 0
    assert outcome.figures.failures == []
    assert outcome.violations == []


async def test_a_run_that_was_cut_checks_who_was_done() -> None:
    plan = a_plan()
    async with replay_world(rate=1.0) as world:
        replay = a_replay(world, plan)
        replay.pause.cut()
        outcome = await replay.run()
    assert outcome.cut
    assert outcome.violations == []
    assert outcome.figures.users_done == 0


async def test_a_total_that_another_session_has_raised_is_noticed() -> None:
    """A service that credits something else than was sent fails the run and the judge."""
    plan = a_plan(ROWS[:2])
    async with replay_world(rate=1.0) as world:
        await replayed(world, plan)
        user = plan.users[0]
        items, sessions = await world.read([user.user_id])
        assert check_offline([user], items, items, sessions) == []
        found = check_offline([user], *tampered(user, items, sessions))
    assert {violation.kind for violation in found} == {
        "item not shown",
        "total is not the file's",
        "total is not the sum of the sessions",
        "acknowledged session is missing",
        "acknowledged session differs",
        "session nobody sent",
    }
    assert json.dumps([violation.detail for violation in found])


def tampered(
    user: UserPlan, items: list[Item], sessions: list[Session]
) -> tuple[list[Item], list[Item], list[Session]]:
    lost, changed, *rest = sorted(sessions, key=lambda one: one.started_at)
    other = Session(
        session_id=changed.session_id,
        user_id=user.user_id,
        product_id=changed.product_id,
        started_at=Micros(from_datetime(FIRST_DAY) + SECOND),
        last_heartbeat_at=changed.last_heartbeat_at,
        ended_at=changed.ended_at,
        duration_seconds=1,
        client_session_id=changed.client_session_id,
    )
    stranger = Session(
        session_id="somebody's",
        user_id=user.user_id,
        product_id=lost.product_id,
        started_at=lost.started_at,
        last_heartbeat_at=lost.last_heartbeat_at,
        ended_at=lost.ended_at,
        duration_seconds=5,
    )
    raised = [
        Item(user_id=one.user_id, product_id=one.product_id, total_seconds=one.total_seconds + 1) for one in items
    ]
    return items[1:], raised, [other, *rest, stranger]


@pytest.mark.parametrize("hours", [0.1, 238, 7765.3])
def test_hours_are_whole_seconds(hours: float) -> None:
    (user,) = a_plan([PlayRow(user="ann", title="one", hours=hours)]).users
    assert user.seconds == round(hours * 3600)
