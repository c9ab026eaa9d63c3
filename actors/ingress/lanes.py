"""One event of a user at a time, in the order in which they came; different users at once (R-EVT-3).

A lane exists while it has something to do. Bounded by the windows, which bound what is put in.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """``handle`` must not raise; if it does, that is a bug, and ``crashed`` holds it for whoever watches."""

    def __init__(self, handle: Callable[[T], Awaitable[None]]) -> None:
        self._handle = handle
        self._queues: dict[Hashable, deque[T]] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self.crashed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def put(self, key: Hashable, item: T) -> None:
        if (queue := self._queues.get(key)) is not None:
            queue.append(item)
            return
        self._queues[key] = deque((item,))
        task = asyncio.get_running_loop().create_task(self._run(key))
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    async def _run(self, key: Hashable) -> None:
        queue = self._queues[key]
        try:
            while queue:
                await self._handle(queue.popleft())
        finally:
            del self._queues[key]

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None and not self.crashed.done():
            self.crashed.set_exception(error)

    async def close(self) -> None:
        """Ends what is under way; its outcome is unknown."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.crashed.cancel()
