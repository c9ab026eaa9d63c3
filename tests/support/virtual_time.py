"""Coroutines in virtual time: waits cost nothing, and times are exact."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Network


def in_virtual_time(body: Callable[[], Awaitable[None]]) -> None:
    """Runs it on a loop whose clock jumps to the next timer; what the loop was left with fails the test."""
    loop = VirtualLoop(Network(Random(0)))
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(body())
        assert not loop.failures
    finally:
        loop.abandon()
        asyncio.set_event_loop(None)
