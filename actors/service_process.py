"""One service as the whole purpose of a Ray actor's process: if it ends without being asked to, the process ends.

Leaving by ``os._exit`` is what makes Ray start a ``max_restarts=-1`` actor again; an exception in ``__init__`` or
``exit_actor`` would leave it dead for good (ENGINE.md, "Ray"). So nothing that can fail happens before the task runs.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any, NoReturn, Protocol

log = logging.getLogger(__name__)


class Service(Protocol):
    """What a factory ``module:function`` of ``(settings) -> Service`` makes."""

    async def run(self) -> None:
        """Until ``stop``; what it raises is fatal."""
        ...

    def stop(self) -> None:
        """Finish what is under way, then return from ``run``. Called on the loop of ``run``."""
        ...


class ServiceProcess:
    """Belongs into the ``__init__`` of a Ray actor with async methods, whose loop is running then."""

    def __init__(self, factory: str, settings: dict[str, Any], *, leave: Callable[[int], NoReturn] = os._exit) -> None:
        self._factory = factory
        self._settings = settings
        self._leave = leave
        self._service: Service | None = None
        self._stopping = False
        self._life = asyncio.get_running_loop().create_task(self._live())

    async def stop(self) -> None:
        """Returns when the service has ended; the process stays until it is killed."""
        self._stopping = True
        if self._service is not None:
            self._service.stop()
            await asyncio.shield(self._life)

    async def _live(self) -> None:
        try:
            self._service = resolve_name(self._factory)(self._settings)
            await self._service.run()
        except BaseException:
            log.critical("the service failed, its process ends", extra={"factory": self._factory}, exc_info=True)
            self._end(1)
        if not self._stopping:
            log.critical("the service ended unasked, its process ends", extra={"factory": self._factory})
            self._end(1)

    def _end(self, status: int) -> NoReturn:
        logging.shutdown()
        self._leave(status)
