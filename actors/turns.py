"""Runs many callbacks a few at a time.

When a host dies or comes back, all calls of its users go on at once. Thousands of them in one turn of the loop would
keep every other user of the process waiting (promise 7).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable

log = logging.getLogger(__name__)

PER_TURN = 64
"""A call that is woken costs about 30 µs until it waits again or is sent: 2 ms a turn."""

Callback = Callable[[], object]


class Turns:
    """In the order they were added; the first few at once, within ``add``."""

    def __init__(self) -> None:
        self._due: deque[Callback] = deque()
        self._running = False

    def add(self, callbacks: Iterable[Callback]) -> None:
        self._due.extend(callbacks)
        if not self._running:
            self._running = True
            self._run()

    def _run(self) -> None:
        for _ in range(min(PER_TURN, len(self._due))):
            try:
                self._due.popleft()()
            except Exception:  # those behind it would never learn what they wait for
                log.exception("a callback failed")
        if self._due:
            asyncio.get_running_loop().call_soon(self._run)
        else:
            self._running = False
