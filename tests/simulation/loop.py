"""An event loop whose time is virtual: it jumps to the next timer when nothing is ready, and never waits.

The same seed gives the same run: there are no threads, no sockets, no clock.
"""

import asyncio
import contextlib
import contextvars
from collections.abc import Callable
from typing import Any

from tests.simulation.network import Network
from tests.simulation.processes import Process, current_process


class Deadlocked(Exception):
    """Nothing is ready and nothing will ever be."""


class _NoSelector:
    """Stands where asyncio waits for sockets: time passes here."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlocked
        self._loop.advance(timeout)
        return []

    def close(self) -> None:
        """Nothing to close."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Connections go over ``network``; every callback carries the mark of its process."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = _NoSelector(self)
        self._clock_resolution = 1e-9
        self.network = network
        network.loop = self
        self._made: list[asyncio.Task[Any]] = []
        self.failures: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _loop, context: self.failures.append(context))

    def time(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        process = current_process(context)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        return super().call_soon(self._guarded, process, callback, args, context, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        process = current_process(context)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        cancelled: list[asyncio.TimerHandle] = []

        def due() -> None:
            """Also for one that waited until its process was thawed: what was cancelled meanwhile does not run."""
            if not cancelled[0].cancelled():
                callback(*args)

        handle = super().call_at(when, self._guarded, process, due, (), context, context=context)
        cancelled.append(handle)
        return handle

    def _guarded(
        self, process: Process, callback: Callable[..., Any], args: tuple[Any, ...], context: contextvars.Context | None
    ) -> None:
        home = process.context if context is None else context
        if process.admits(lambda: self.call_soon(callback, *args, context=home)):
            callback(*args)

    def create_task(self, coro: Any, **options: Any) -> "asyncio.Task[Any]":
        """Kept alive to the end: a killed process must not run its ``finally`` when it is collected as garbage."""
        task = super().create_task(coro, **options)
        self._made.append(task)
        return task

    def abandon(self) -> None:
        """Ends the simulation: whatever still waits is closed, and what it says to that is of no interest."""
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
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

    def _process_events(self, event_list: list[Any]) -> None:
        """There are no sockets."""

    def _write_to_self(self) -> None:
        """There are no other threads."""
