"""Whose turn it is: pure. A fixed number of workers ask for turns; a user plays at most so many games at once.

Users come at a random moment that leaves them time to finish: one whose games would fill the whole run begins at once,
one with a single short game may come at any time. So the mixture stays the same throughout and no heavy user is
left over at the end.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from cluster.replay.plan import Play, UserPlan


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One game to be played now."""

    rank: int
    user: UserPlan
    play: Play


@dataclass(slots=True)
class _Seat:
    user: UserPlan
    next_play: int = 0
    busy: int = 0


class Schedule:
    """A worker that gets no turn may leave: every game still to come belongs to a user whose lanes are all busy, and
    the worker of such a lane asks again when it is done."""

    def __init__(self, users: Sequence[UserPlan], *, workers: int, lanes: int, seed: int) -> None:
        self._lanes = lanes
        self._seats = [_Seat(user) for user in arrival_order(users, workers=workers, lanes=lanes, seed=seed)]
        self._ready = [rank for rank, seat in enumerate(self._seats) if seat.user.plays]

    def take(self) -> Turn | None:
        """The next game of the first user who has one and a free lane."""
        if not self._ready:
            return None
        rank = self._ready[0]
        seat = self._seats[rank]
        play = seat.user.plays[seat.next_play]
        seat.next_play += 1
        seat.busy += 1
        if seat.busy == self._lanes or seat.next_play == len(seat.user.plays):
            heapq.heappop(self._ready)
        return Turn(rank=rank, user=seat.user, play=play)

    def release(self, turn: Turn) -> bool:
        """The game is over; whether it was the user's last."""
        seat = self._seats[turn.rank]
        waiting = seat.busy == self._lanes and seat.next_play < len(seat.user.plays)
        seat.busy -= 1
        if waiting:
            heapq.heappush(self._ready, turn.rank)
        return seat.busy == 0 and seat.next_play == len(seat.user.plays)


def shortest_run_s(users: Sequence[UserPlan], *, workers: int, lanes: int) -> float:
    """No schedule is shorter: neither than the work over the workers nor than the user with most to play."""
    if not users:
        return 0.0
    together_s = sum(user.seconds for user in users) / workers
    return max([together_s, *(_alone_s(user, lanes) for user in users)])


def arrival_order(users: Sequence[UserPlan], *, workers: int, lanes: int, seed: int) -> list[UserPlan]:
    random = Random(seed)
    whole_s = shortest_run_s(users, workers=workers, lanes=lanes) or 1.0
    arrivals = [(random.random() * (1.0 - _alone_s(user, lanes) / whole_s), n) for n, user in enumerate(users)]
    return [users[n] for _, n in sorted(arrivals)]


def _alone_s(user: UserPlan, lanes: int) -> float:
    longest = user.plays[0].seconds if user.plays else 0
    return max(user.seconds / lanes, longest)
