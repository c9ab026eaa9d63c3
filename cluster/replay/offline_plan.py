"""What is to be sent when a file is replayed offline: pure, and the same for the same file and options.

Each user plays one game after another, at most ``DAY_S`` of a day and ``SESSION_S`` at a time, from ``FIRST_DAY`` on
for as many days as it takes. Ids are UUIDv5 of what they name, so that a second run sends the same sessions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import uuid5

from cluster.replay.plan import NAMESPACE, Plan, UserPlan

FIRST_DAY = datetime(2010, 1, 1, tzinfo=UTC)
DAY_S = 20 * 3600
SESSION_S = 12 * 3600
SESSIONS_A_CALL = 100
SENT_TWICE_SHARE = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class OfflineSession:
    """``client_id`` is the client's own UUID for it."""

    client_id: str
    product_id: str
    begin: datetime
    seconds: int

    @property
    def end(self) -> datetime:
        return self.begin + timedelta(seconds=self.seconds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """One call. ``sent_twice``: the client does not trust the answer and sends it again."""

    sessions: tuple[OfflineSession, ...]
    sent_twice: bool


def sessions_of(user: UserPlan) -> Iterator[OfflineSession]:
    """In the order of play."""
    day, played_s = FIRST_DAY, 0
    number = 0
    for play in user.plays:
        left = play.seconds
        while left:
            if played_s == DAY_S:
                day, played_s = day + timedelta(days=1), 0
            seconds = min(left, SESSION_S, DAY_S - played_s)
            yield OfflineSession(
                client_id=str(uuid5(NAMESPACE, f"offline session:{user.user_id}:{number}")),
                product_id=play.product_id,
                begin=day + timedelta(seconds=played_s),
                seconds=seconds,
            )
            number, left, played_s = number + 1, left - seconds, played_s + seconds


def batches_of(user: UserPlan, seed: int) -> Iterator[Batch]:
    random = Random(f"{seed}:{user.user_id}")
    sessions = tuple(sessions_of(user))
    for first in range(0, len(sessions), SESSIONS_A_CALL):
        yield Batch(sessions=sessions[first : first + SESSIONS_A_CALL], sent_twice=random.random() < SENT_TWICE_SHARE)


def session_count(plan: Plan) -> int:
    return sum(1 for user in plan.users for _ in sessions_of(user))
