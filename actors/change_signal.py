"""Wakes everybody who waits for a change, a few at a time.

While a host is away all calls of its users wait here; thousands that went on in one turn of the loop would keep every
other user of the process waiting (promise 7).
"""

import asyncio
from collections import deque

WOKEN_PER_TURN = 64
"""A woken call costs about 30 µs until it waits again or is sent: 2 ms."""


class ChangeSignal:
    """A change between two looks is not missed: who waits says which version it has seen."""

    def __init__(self) -> None:
        self.version = 0
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._due: deque[asyncio.Future[None]] = deque()

    def set(self) -> None:
        """Something has changed."""
        self.version += 1
        waking = bool(self._due)
        self._due.extend(self._waiting)
        self._waiting.clear()
        if not waking:
            self._wake()

    async def wait(self, version: int, timeout_s: float) -> bool:
        """Until the version is another than ``version``; False when the time is up."""
        if self.version != version:
            return True
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = None
        done, _ = await asyncio.wait({waiter}, timeout=timeout_s)
        self._waiting.pop(waiter, None)
        return bool(done)

    def _wake(self) -> None:
        for _ in range(min(WOKEN_PER_TURN, len(self._due))):
            waiter = self._due.popleft()
            if not waiter.done():
                waiter.set_result(None)
        if self._due:
            asyncio.get_running_loop().call_soon(self._wake)
