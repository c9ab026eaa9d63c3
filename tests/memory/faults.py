"""A process that may die, or whose surroundings may fail, at any await of its ports.

Every effect in memory has a step before it and a step after it: a fault before means that it did not happen, a fault
after that it did and nobody was told.
"""

import asyncio
from collections.abc import Callable


class Crashed(Exception):
    """The process is dead: nothing it does from now on has any effect."""


Plan = Callable[[int, str], Exception | None]


def crash_at(step: int) -> Plan:
    """Dies at the step of that number, counted from 0."""
    return lambda number, _what: Crashed() if number == step else None


def healthy(_number: int, _what: str) -> Exception | None:
    return None


class Faults:
    """One per process. ``plan`` says what goes wrong at which step."""

    def __init__(self, plan: Plan = healthy) -> None:
        self.plan = plan
        self.steps = 0
        self.dead = False
        self.died = asyncio.Event()

    async def step(self, what: str) -> None:
        await asyncio.sleep(0)
        if self.dead:
            raise Crashed
        error = self.plan(self.steps, what)
        self.steps += 1
        if isinstance(error, Crashed):
            self.dead = True
            self.died.set()
        if error is not None:
            raise error
