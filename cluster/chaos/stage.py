"""What faults act on: the running service, the proxies between its parts, and the means to look whether it is back."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from cluster.chaos.disk import SmallDisk
from cluster.chaos.proxies import Proxies
from cluster.chaos.rival import rival_of
from cluster.chaos.running import RunningLibrary, ServiceFailed
from cluster.dev.part import Part
from cluster.dev.process import ProcessId, start_token

BACK_TIMEOUT_S = 120.0
FREEZE_S = 20.0
RIVAL_AFTER_S = 8.0
RIVAL_TIMEOUT_S = 180.0


@dataclass(frozen=True, kw_only=True)
class Stage:
    """``outage_s``: how long a server is away that is restarted. ``disk`` None: it could not be had, ``no_disk`` says
    why. Methods raise ``ServiceFailed`` when what was broken does not come back."""

    library: RunningLibrary
    proxies: Proxies
    disk: SmallDisk | None
    no_disk: str
    random: Random
    outage_s: float

    async def until(self, condition: Callable[[], bool], timeout_s: float = BACK_TIMEOUT_S) -> None:
        await asyncio.to_thread(self.library.until, condition, timeout_s)

    async def kill(self, pids: Callable[[], list[int]], count: int = 1) -> str:
        """``kill -9`` of one of the processes; returns when as many as before run again, and says which it was."""
        before = await asyncio.to_thread(pids)
        if not before:
            await self.until(lambda: bool(pids()))
            before = await asyncio.to_thread(pids)
        victims = self.random.sample(before, min(count, len(before)))
        send(victims, signal.SIGKILL)
        await self.until(lambda: len(set(pids()) - set(victims)) >= len(before))
        return f"pid {', '.join(map(str, victims))}"

    async def freeze(self, pids: Iterable[int]) -> str:
        """SIGSTOP, and SIGCONT after ``FREEZE_S``."""
        processes = [ProcessId(pid=pid, started=start_token(pid) or "gone") for pid in pids]
        for process in processes:
            process.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(FREEZE_S)
        finally:
            for process in processes:
                process.send(signal.SIGCONT)
        return f"pid {processes[0].pid}" if len(processes) == 1 else f"{len(processes)} processes"

    async def away(self, part: Part) -> str:
        """A clean stop, and a start after ``outage_s``."""
        await asyncio.to_thread(part.stop)
        try:
            await asyncio.sleep(self.outage_s)
        finally:
            await asyncio.to_thread(self.library.stack.up, [part.name])
        return f"away for {self.outage_s:.0f} s"

    async def two_writers(self) -> str:
        """A host is frozen, its callers wait; another process takes it over; then both run."""
        number = self.random.randrange(len(self.proxies.links))
        (frozen,) = await asyncio.to_thread(self.library.pids, f"host-{number}")
        process = ProcessId(pid=frozen, started=start_token(frozen) or "gone")
        process.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(RIVAL_AFTER_S)
            log_file = self.library.directory / "rival.log"
            async with rival_of(number, self.library.environment(), log_file) as rival:
                await asyncio.sleep(FREEZE_S - RIVAL_AFTER_S)
                process.send(signal.SIGCONT)
                async with asyncio.timeout(RIVAL_TIMEOUT_S):
                    await rival.wait()
        except TimeoutError:
            raise ServiceFailed(f"host-{number} was not taken back from its rival") from None
        finally:
            process.send(signal.SIGCONT)
        await self.until(lambda: bool(self.library.pids(f"host-{number}")))
        return f"host-{number}, pid {frozen} and its rival {rival.pid}"


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
