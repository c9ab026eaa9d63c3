"""Natural batching: while one batch is in flight arrivals queue, and when it returns the whole queue is the next one.

No timers, no added latency when idle, large batches under load.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class NaturalBatcher(Generic[K]):
    """Runs ``process`` on sets of keys, one batch at a time; a key asked for twice while it waits is asked for once.

    ``process`` must not raise: what a batch's failure means to its keys is its own business. It may add keys; they
    belong to the next batch. At most ``limit`` keys a batch.
    """

    def __init__(self, process: Callable[[list[K]], Awaitable[None]], limit: int) -> None:
        self._process = process
        self._limit = limit
        self._waiting: dict[K, None] = {}
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: K) -> None:
        self._waiting[key] = None
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._waiting:
            batch = list(self._waiting)[: self._limit]
            for key in batch:
                del self._waiting[key]
            await self._process(batch)

    async def close(self) -> None:
        """Forgets what waits and ends the batch in flight."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
