"""The map, the supervisor's rows and the clock's origin, in memory."""

import math
from collections.abc import Sequence

from actors.domain.ids import SECOND, SHARD_COUNT, Epoch, HostId, Micros, Seq, ShardId, Term
from actors.ports import ClockOrigin, ClusterMap, HostAddress, ShardOwner, StoreUnavailable
from tests.memory.database import MemoryDatabase
from tests.memory.store_faults import Operation

READ = Operation("read")
WRITE = Operation("write")
KEPT_COMMANDS_US = 2 * 86_400 * SECOND


class MemoryClusterMapReader:
    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def read_map(self) -> ClusterMap:
        tables = self._database.tables
        return await self._database.unlocked(READ, lambda: ClusterMap(dict(tables.hosts), dict(tables.shards)))


class MemorySupervisorStore:
    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._tables = database.tables
        self.read_map = MemoryClusterMapReader(database).read_map

    async def prepare(self, initial_hosts: int) -> None:
        def work() -> None:
            if self._tables.wanted_hosts is None:
                self._tables.wanted_hosts = initial_hosts
            for number in range(SHARD_COUNT):
                shard_id = ShardId(number)
                owner = ShardOwner(shard_id, HostId(number % initial_hosts), Term(1))
                self._tables.shards.setdefault(shard_id, owner)

        await self._database.unlocked(WRITE, work)

    async def wanted_hosts(self) -> int:
        wanted = await self._database.unlocked(READ, lambda: self._tables.wanted_hosts)
        if wanted is None:
            raise StoreUnavailable("the wanted number of hosts is not recorded yet")
        return wanted

    async def set_wanted_hosts(self, count: int) -> None:
        def work() -> None:
            self._tables.wanted_hosts = count

        await self._database.unlocked(WRITE, work)

    async def ensure_hosts(self, host_ids: Sequence[HostId]) -> None:
        def work() -> None:
            for host_id in host_ids:
                self._tables.hosts.setdefault(host_id, HostAddress(host_id, Epoch(0), None))
                self._tables.progress.setdefault(host_id, Seq(0))

        await self._database.unlocked(WRITE, work)

    async def keep_partitions(self) -> None:
        def work() -> None:
            oldest = self._database.clock.now() - KEPT_COMMANDS_US
            commands = self._tables.commands
            for key in [key for key, one in commands.items() if one.at < oldest]:
                del commands[key]

        await self._database.unlocked(WRITE, work)


class MemoryClockStore:
    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def clock_origin(self, rate: float) -> tuple[ClockOrigin, Micros]:
        def work() -> tuple[ClockOrigin, Micros]:
            now = self._database.clock.now()
            origin = self._database.tables.clock_origin or ClockOrigin(now, now, rate)
            if origin.rate != rate:
                service_now = origin.service_at + math.floor((now - origin.real_at) * origin.rate)
                origin = ClockOrigin(now, Micros(service_now), rate)
            self._database.tables.clock_origin = origin
            return origin, now

        return await self._database.unlocked(WRITE, work)
