"""The contract's world in memory."""

import asyncio
from collections.abc import Sequence

from actors.domain.ids import Epoch, HostId, Micros, Seq, UserId
from actors.domain.model import Anomaly
from actors.ports import HostAddress, HostStore, OutboxRow
from tests.contract.world import Held, SessionName, World
from tests.memory import (
    Fate,
    MemoryClockStore,
    MemoryClusterMapReader,
    MemoryDatabase,
    MemoryEntityLoader,
    MemoryFleetStore,
    MemoryHostStore,
    MemorySessionHistory,
    MemorySupervisorStore,
    Operation,
)
from tests.memory.store_faults import OperationKind, proceed

KIND: dict[SessionName, OperationKind] = {"journal": "append", "flush": "flush"}


class MemoryWorld(World):
    def __init__(self) -> None:
        self.database = MemoryDatabase(timeout_s=0.2)
        self.loader = MemoryEntityLoader(self.database)
        self.map_reader = MemoryClusterMapReader(self.database)
        self.supervisor = MemorySupervisorStore(self.database)
        self.clock = MemoryClockStore(self.database)
        self.fleet = MemoryFleetStore(self.database)
        self.history = MemorySessionHistory(self.database)

    def store(self, host_id: HostId) -> HostStore:
        return MemoryHostStore(self.database, host_id)

    def lose(self, session: SessionName, *, happened: bool) -> None:
        self.database.faults.plan(KIND[session], Fate.LOST_AFTER if happened else Fate.LOST_BEFORE)

    def hold(self, session: SessionName) -> Held:
        return MemoryHeld(self.database, KIND[session])

    def impatient(self) -> None:
        """They always do."""

    async def raise_epoch(self, host_id: HostId) -> None:
        host = self.database.tables.hosts[host_id]
        self.database.tables.hosts[host_id] = HostAddress(host_id, Epoch(host.epoch + 1), host.address)

    async def break_connections(self) -> None:
        self.database.stop()
        self.database.start()

    async def stop(self) -> None:
        self.database.stop()

    async def journal(self, host_id: HostId) -> list[tuple[Seq, bytes]]:
        return sorted(self.database.tables.journal.get(host_id, {}).items())

    async def outbox(self) -> Sequence[OutboxRow]:
        return [row for _, row in sorted(self.database.tables.outbox.items())]

    async def anomalies(self) -> list[tuple[UserId, Anomaly]]:
        return list(self.database.tables.anomalies.values())

    async def now(self) -> Micros:
        return self.database.clock.now()


class MemoryHeld(Held):
    def __init__(self, database: MemoryDatabase, kind: OperationKind) -> None:
        self._database = database
        self._kind = kind
        self._arrived = asyncio.Event()
        self._released = asyncio.Event()
        database.faults.hook = self._hook

    async def _hook(self, operation: Operation) -> Fate:
        if operation.kind == self._kind:
            self._database.faults.hook = proceed
            self._arrived.set()
            await self._released.wait()
        return Fate.PROCEED

    async def arrived(self) -> None:
        await self._arrived.wait()

    async def release(self) -> None:
        self._released.set()
        await self._database.idle()
