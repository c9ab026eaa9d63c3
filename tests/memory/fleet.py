"""Who runs, and the cluster's flag, in memory."""

from collections.abc import Sequence

from actors.domain.ids import SECOND, Micros
from actors.fleet.ports import SILENT_S, ProcessInfo, RunningProcess
from tests.memory.database import MemoryDatabase
from tests.memory.store_faults import Operation

READ = Operation("read")
WRITE = Operation("write")


class MemoryFleetStore:
    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._tables = database.tables

    async def announce(self, info: ProcessInfo, *, serving: bool) -> int:
        def work() -> int:
            self._tables.processes[info.process_id] = (info, serving, self._now())
            return self._tables.version

        return await self._database.unlocked(WRITE, work)

    async def withdraw(self, process_id: bytes) -> None:
        await self._database.unlocked(WRITE, lambda: self._tables.processes.pop(process_id, None))

    async def forget_silent(self) -> None:
        def work() -> None:
            oldest = self._now() - 3_600 * SECOND
            known = self._tables.processes
            for process_id in [one for one, (_, _, seen) in known.items() if seen < oldest]:
                del known[process_id]

        await self._database.unlocked(WRITE, work)

    async def processes(self) -> Sequence[RunningProcess]:
        return await self._database.unlocked(READ, self._running)

    async def version(self) -> int:
        return await self._database.unlocked(READ, lambda: self._tables.version)

    async def raise_version(self, to: int) -> Sequence[RunningProcess]:
        def work() -> Sequence[RunningProcess]:
            old = [process for process in self._running() if process.info.newest < to]
            if not old:
                self._tables.version = max(self._tables.version, to)
            return old

        return await self._database.unlocked(WRITE, work)

    def _running(self) -> Sequence[RunningProcess]:
        latest_first = reversed(self._tables.processes.values())
        found = [
            RunningProcess(info=info, serving=serving, silent_s=(self._now() - seen) / SECOND)
            for info, serving, seen in latest_first
        ]
        return [process for process in found if process.silent_s < SILENT_S]

    def _now(self) -> Micros:
        return self._database.clock.now()
