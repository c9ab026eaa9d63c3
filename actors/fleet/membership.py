"""One process among those of the cluster: it says that it runs, and learns which version it may write.

A process that may not run beside the others does not begin: ``join`` comes before anything is read or written.
"""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from actors.fleet.ports import FleetStore, ProcessInfo
from actors.formats import Formats
from actors.ports import StoreUnavailable

log = logging.getLogger(__name__)

ANNOUNCE_EVERY_S = 5.0
JOIN_PAUSE_S = (0.1, 2.0)
LEAVE_TIMEOUT_S = 1.0


class Membership:
    """``join``, then ``beside`` for as long as the process lives."""

    def __init__(self, *, store: FleetStore, info: ProcessInfo, formats: Formats) -> None:
        self._store = store
        self._info = info
        self._formats = formats
        self._serving = False
        self._asked = asyncio.Event()

    async def join(self) -> None:
        """Returns once the store has noted this process; waits for a store that is away. ``NewerCluster``."""
        pause, longest = JOIN_PAUSE_S
        while True:
            try:
                return await self._announce()
            except StoreUnavailable as away:
                log.warning("joining waits for the store", extra={"reason": str(away)})
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)

    def serves(self) -> None:
        """The process is ready for work; the others hear it at once."""
        self._serving = True
        self._asked.set()

    async def beside(self, body: Coroutine[Any, Any, None]) -> None:
        """Runs ``body`` to its end and says meanwhile that it runs. ``NewerCluster`` when the cluster went on without
        this process, and whatever ``body`` raises."""
        tasks = [asyncio.create_task(body), asyncio.create_task(self._stay())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._leave()

    async def _stay(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ANNOUNCE_EVERY_S):
                    await self._asked.wait()
            self._asked.clear()
            try:
                await self._announce()
            except StoreUnavailable as away:
                log.warning("the fleet was not told that this process runs", extra={"reason": str(away)})
                await asyncio.sleep(JOIN_PAUSE_S[1])
                if self._serving:
                    self._asked.set()

    async def _announce(self) -> None:
        version = await self._store.announce(self._info, serving=self._serving)
        if version != self._formats.writes.version:
            self._formats.allow(version)
            log.info("the cluster's version", extra={"version": version, "writes": self._formats.writes.version})

    async def _leave(self) -> None:
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await self._store.withdraw(self._info.process_id)
