"""Wakes everybody who waits for a change, a few in a turn of the loop (``turns``)."""

import asyncio
from functools import partial

from actors.turns import Turns


class ChangeSignal:
    """A change between two looks is not missed: who waits says which version it has seen."""

    def __init__(self) -> None:
        self.version = 0
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._turns = Turns()

    def set(self) -> None:
        """Something has changed."""
        self.version += 1
        waiting, self._waiting = self._waiting, {}
        self._turns.add(partial(_wake, waiter) for waiter in waiting)

    async def wait(self, version: int, timeout_s: float) -> bool:
        """Until the version is another than ``version``; False when the time is up."""
        if self.version != version:
            return True
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = None
        try:
            done, _ = await asyncio.wait({waiter}, timeout=timeout_s)
        finally:
            self._waiting.pop(waiter, None)
        return bool(done)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
