"""How the processes of the service live under Ray: a factory named by text, a background task, an honest end.

Ray pickles actor classes by value, so the classes that carry its decorator are a few lines long and get everything
else here, in their own process. A process that may not go on leaves by ``os._exit``: Ray restarts it then, where an
exception from ``__init__`` or ``exit_actor`` would end it for good.
"""

import asyncio
import importlib
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)

FAILED = 70
"""Exit status of a process that ended itself."""
STUCK_AFTER_CHECKS = 6
CHECK_EVERY_S = 5.0


def resolve(factory: str) -> Callable[..., Any]:
    """The function that ``module:function`` names."""
    module, _, name = factory.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def live(body: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Runs the body of a process on the running loop; when it ends, the process ends."""
    loop = asyncio.get_running_loop()
    _watch(loop)
    return loop.create_task(_live(body))


async def _live(body: Coroutine[Any, Any, None]) -> None:
    try:
        await body
    except asyncio.CancelledError:
        raise
    except BaseException:
        log.exception("the process leaves")
        leave(FAILED)


def leave(status: int) -> None:
    """Ends the process at once; open sockets tell everybody."""
    logging.shutdown()
    os._exit(status)


def _watch(loop: asyncio.AbstractEventLoop) -> None:
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
                log.critical("the event loop is stuck")
                leave(FAILED)
            seen = turns
            loop.call_soon_threadsafe(turn)
            time.sleep(CHECK_EVERY_S)

    threading.Thread(target=watch, name="loop-watchdog", daemon=True).start()
