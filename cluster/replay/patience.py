"""How long a client goes on trying, and how it waits between attempts: as a real one would."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from random import Random

from cluster.replay.pause import Pause

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Seconds of real time. ``total_s`` is for one thing a client wants, all attempts together."""

    total_s: float = 120.0
    attempt_s: float = 10.0


class GaveUp(Exception):
    """Nobody answered in time; ``last`` is what the last attempt met."""

    def __init__(self, what: str, last: str) -> None:
        super().__init__(f"{what}: gave up, last: {last}")
        self.what = what
        self.last = last


@dataclass(frozen=True, kw_only=True, slots=True)
class Retries:
    """Shared by all clients of a run; ``counted`` by what the failed attempts met."""

    patience: Patience
    pause: Pause
    random: Random
    counted: Counter[str]

    async def wait(
        self, what: str, *, began: float, attempt: int, problem: str, retry_after: str | None = None
    ) -> None:
        """Returns when attempt ``attempt + 1`` may be made of what was first tried at ``began`` (loop time).

        Raises ``GaveUp`` if that would be too late. In a run that was cut it still waits, but not for long: what is
        said then is a client's last word.
        """
        self.counted[problem] += 1
        now = asyncio.get_running_loop().time()
        again = now + backoff_s(attempt, self.random, retry_after)
        if again > self.pause.deadline(began + self.patience.total_s):
            raise GaveUp(what, problem)
        if self.pause.is_cut:
            await asyncio.sleep(again - now)
        else:
            await self.pause.until(again)


def backoff_s(attempt: int, random: Random, retry_after: str | None = None) -> float:
    """Doubling with jitter; never earlier than the service asked for in ``Retry-After`` (whole seconds)."""
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(attempt, 16))
    wait_s = longest * random.uniform(0.5, 1.0)
    if retry_after is not None and retry_after.isdecimal():
        return float(retry_after) + wait_s
    return wait_s
