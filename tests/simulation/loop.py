"""An event loop whose time is virtual: it jumps to the next timer when nothing is ready, and never waits.

The same seed gives the same run: there are no threads, no sockets, no clock. It is made to cost little, because most of
what a schedule costs is the turning of the loop: handles are small, timers stand in a heap of tuples.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from heapq import heappop, heappush
from typing import Any

from msgspec import Struct

from tests.simulation.network import Network
from tests.simulation.processes import PROCESS


class Deadlocked(Exception):
    """Nothing is ready and nothing will ever be."""


class Planned(Struct, eq=False):
    """What ``call_soon`` and ``call_at`` give: asyncio's ``Handle`` and ``TimerHandle``, as far as they are used."""

    callback: Callable[..., Any] | None
    args: tuple[Any, ...]
    context: Context
    at: float

    def cancel(self) -> None:
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        return self.callback is None

    def when(self) -> float:
        return self.at


class VirtualLoop(asyncio.BaseEventLoop):
    """Connections go over ``network``; every callback runs as the process to which its context belongs."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._now = 0.0
        self._planned = 0
        self._soon: deque[Planned] = deque()
        self._later: list[tuple[float, int, Planned]] = []
        self.network = network
        network.loop = self
        self._made: list[asyncio.Task[Any]] = []
        self.failures: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _loop, context: self.failures.append(context))

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Planned:
        planned = Planned(callback, args, copy_context() if context is None else context, self._now)
        self._soon.append(planned)
        return planned

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Planned:
        planned = Planned(callback, args, copy_context() if context is None else context, self._now + delay)
        self._planned += 1
        heappush(self._later, (planned.at, self._planned, planned))
        return planned

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Planned:
        planned = Planned(callback, args, copy_context() if context is None else context, when)
        self._planned += 1
        heappush(self._later, (when, self._planned, planned))
        return planned

    def _run_once(self) -> None:
        """A turn: time passes if nothing is ready, what is due becomes ready, and what is ready runs."""
        soon, later = self._soon, self._later
        if not soon:
            while later and later[0][2].callback is None:
                heappop(later)
            if not later:
                raise Deadlocked
            self._now = max(self._now, later[0][0])
        while later and later[0][0] <= self._now:
            soon.append(heappop(later)[2])
        for _ in range(len(soon)):
            planned = soon.popleft()
            if planned.callback is None:
                continue
            process = planned.context.get(PROCESS)
            if process is not None and process.halted:
                process.miss(partial(soon.append, planned))
                continue
            try:
                planned.context.run(planned.callback, *planned.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - as asyncio's loop does
                self.call_exception_handler({"message": f"exception in {planned.callback}", "exception": error})

    def create_task(self, coro: Any, **options: Any) -> "asyncio.Task[Any]":
        """Kept alive to the end: a killed process must not run its ``finally`` when it is collected as garbage."""
        task = super().create_task(coro, **options)
        self._made.append(task)
        return task

    def abandon(self) -> None:
        """Ends the simulation: whatever still waits is closed, and what it says to that is of no interest."""
        self._soon.clear()
        self._later.clear()
        for task in self._made:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            if not task.done():
                with contextlib.suppress(BaseException):
                    task.get_coro().close()  # type: ignore[union-attr]
        self._made.clear()
        self.close()

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        return self.network.listen(protocol_factory)

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        return await self.network.connect(protocol_factory, port)

    def _write_to_self(self) -> None:
        """There are no other threads."""
