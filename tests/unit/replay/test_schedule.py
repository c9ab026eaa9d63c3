"""Whose turn it is: played out on a virtual clock."""

import heapq
from collections import Counter
from pathlib import Path

import pytest

from cluster.replay.plan import PlanOptions, UserPlan, make_plan
from cluster.replay.playfile import PlayRow, read_play_file
from cluster.replay.schedule import Schedule, shortest_run_s

SAMPLE = Path(__file__).parents[2] / "data" / "play-hours-sample.csv"


def play_out(users: tuple[UserPlan, ...], *, workers: int, lanes: int) -> tuple[float, Counter, int]:
    """How long it takes, how often each game was played, and the most games a user played at once."""
    schedule = Schedule(users, workers=workers, lanes=lanes, seed=3)
    busy, played, at_once, most, now = [], Counter(), Counter(), 0, 0.0

    def begin(now):
        nonlocal most
        if (turn := schedule.take()) is not None:
            heapq.heappush(busy, (now + turn.play.seconds, played.total(), turn))
            played[turn.user.user_id, turn.play.product_id] += 1
            at_once[turn.rank] += 1
            most = max(most, at_once[turn.rank])

    for _ in range(workers):
        begin(0.0)
    while busy:
        now, _, turn = heapq.heappop(busy)
        at_once[turn.rank] -= 1
        schedule.release(turn)
        begin(now)
    return now, played, most


@pytest.mark.parametrize(("workers", "lanes"), [(1, 1), (7, 1), (40, 4), (400, 4)])
def test_every_game_is_played_once_and_no_user_plays_more_than_allowed_at_once(workers, lanes):
    users = make_plan(read_play_file(SAMPLE), PlanOptions()).users
    _, played, most = play_out(users, workers=workers, lanes=lanes)
    assert set(played.values()) == {1}
    assert set(played) == {(user.user_id, play.product_id) for user in users for play in user.plays}
    assert most == min(lanes, workers)


@pytest.mark.parametrize("workers", [20, 60, 150])
def test_the_run_is_hardly_longer_than_it_must_be(workers):
    users = make_plan(read_play_file(SAMPLE), PlanOptions()).users
    took_s, _, _ = play_out(users, workers=workers, lanes=4)
    assert took_s <= 1.2 * shortest_run_s(users, workers=workers, lanes=4)


def test_a_user_with_hundreds_of_games_begins_at_once():
    rows = [PlayRow(user="heavy", title=str(n), hours=10) for n in range(300)]
    rows += [PlayRow(user=f"light {n}", title="x", hours=1) for n in range(2000)]
    users = make_plan(rows, PlanOptions()).users
    schedule = Schedule(users, workers=16, lanes=4, seed=1)
    first = schedule.take()
    assert first is not None
    assert len(first.user.plays) == 300


def test_the_last_release_of_a_user_says_so():
    (user,) = make_plan([PlayRow(user="u", title=t, hours=1) for t in "abc"], PlanOptions()).users
    schedule = Schedule([user], workers=3, lanes=2, seed=1)
    one, two = schedule.take(), schedule.take()
    assert schedule.take() is None
    assert not schedule.release(one)
    three = schedule.take()
    assert [schedule.release(two), schedule.release(three)] == [False, True]
    assert schedule.take() is None
