"""One service as the whole purpose of a Ray actor's process: if it ends without being asked to, the process ends.

Ray pickles actor classes by value, so the classes that carry its decorator are a few lines long and find everything
else by name, in their own process. Leaving by ``os._exit`` is what makes Ray start a ``max_restarts=-1`` actor again;
an exception in ``__init__`` or ``exit_actor`` would leave it dead for good. So nothing that can fail happens before the
task runs.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any, NoReturn, Protocol

log = logging.getLogger(__name__)

FAILED = 1
STUCK_AFTER_CHECKS = 6
CHECK_EVERY_S = 5.0


class Service(Protocol):
    """What a factory ``module:function`` of ``(settings, ...) -> Service`` makes."""

    async def run(self) -> None:
        """Until ``stop``; what it raises is fatal."""
        ...

    def stop(self) -> None:
        """Finish what is under way, then return from ``run``. Called on the loop of ``run``."""
        ...


class ServiceProcess:
    """Belongs into the ``__init__`` of a Ray actor with async methods, whose loop is running then."""

    def __init__(self, factory: str, *arguments: Any, leave: Callable[[int], NoReturn] = os._exit) -> None:
        self._factory = factory
        self._arguments = arguments
        self._leave = leave
        self._stopping = False
        self.service: Any = None
        loop = asyncio.get_running_loop()
        _watch(loop, self._end)
        self.life = loop.create_task(self._live())

    async def stop(self) -> None:
        """Returns when the service has ended; the process stays until it is killed."""
        self._stopping = True
        if self.service is not None:
            self.service.stop()
        await asyncio.shield(self.life)

    async def _live(self) -> None:
        try:
            self.service = resolve_name(self._factory)(*self._arguments)
            if self._stopping:
                self.service.stop()
            await self.service.run()
        except BaseException:
            log.critical("the service failed, its process ends", extra={"factory": self._factory}, exc_info=True)
            self._end(FAILED)
        if not self._stopping:
            log.critical("the service ended unasked, its process ends", extra={"factory": self._factory})
            self._end(FAILED)

    def _end(self, status: int) -> NoReturn:
        logging.shutdown()
        self._leave(status)


def _watch(loop: asyncio.AbstractEventLoop, end: Callable[[int], NoReturn]) -> None:
    """A thread that ends the process when its loop does not turn: a stuck loop holds locks and answers nobody.

    It counts checks, not time, so that a process which was stopped and continued is not taken for a stuck one.
    """
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1

    def watch() -> None:
        seen, missed = -1, 0
        while not loop.is_closed():
            missed = missed + 1 if turns == seen else 0
            if missed >= STUCK_AFTER_CHECKS:
                log.critical("the event loop is stuck, the process ends")
                end(FAILED)
            seen = turns
            try:
                loop.call_soon_threadsafe(turn)
            except RuntimeError:
                return  # closed in between: nothing is left to watch
            time.sleep(CHECK_EVERY_S)

    threading.Thread(target=watch, name="loop-watchdog", daemon=True).start()
