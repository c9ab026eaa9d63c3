"""Hosts and a router in this process over a real store: the engine as it runs, without Ray around it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from actors.copies.keeper import CopyLimits
from actors.copies.ports import CopyWriter
from actors.domain.commands import Command
from actors.domain.context import Policy
from actors.domain.ids import HostId, UserId
from actors.domain.replies import Reply
from actors.engine import HostOptions
from actors.flush_loop import FlushLimits
from actors.host import Host
from actors.lifecycle import HostState
from actors.link.handshake import Credentials
from actors.placement import plan_moves
from actors.router import Router, RouterLimits
from persistence.postgres.clock_store import PostgresClockStore
from persistence.postgres.cluster_map import PostgresClusterMapReader
from persistence.postgres.connection import Timeouts
from persistence.postgres.host_store import PostgresHostStore
from persistence.postgres.loader import PostgresEntityLoader
from persistence.postgres.migrate import migrate
from persistence.postgres.pool import ConnectionPool
from persistence.postgres.supervisor_store import PostgresSupervisorStore
from tests.memory import MemoryCatalog

CREDENTIALS = Credentials(cluster="test", secret=b"a secret of the tests, long enough")
READY_TIMEOUT_S = 20.0


class SmallCluster:
    """Made by ``small_cluster``. ``kill`` is as sudden as a process' death: nothing is flushed or said."""

    def __init__(self, dsn: str, pool: ConnectionPool, clock_rate: float) -> None:
        self._dsn = dsn
        self.pool = pool
        self.supervisor = PostgresSupervisorStore(pool)
        self.router = Router(
            reader=PostgresClusterMapReader(pool), credentials=CREDENTIALS, role="door", limits=RouterLimits()
        )
        self.hosts: dict[HostId, Host] = {}
        self._tasks: dict[HostId, asyncio.Task[None]] = {}
        self.policy = Policy()
        self.catalog = MemoryCatalog()
        self.clock_rate = clock_rate
        self.copies: CopyWriter | None = None

    async def call(self, user_id: UserId, command: Command, timeout_s: float = 10.0) -> Reply:
        return await self.router.call(user_id, command, timeout_s=timeout_s)

    async def start(self, number: int) -> Host:
        host_id = HostId(number)
        await self.supervisor.ensure_hosts([host_id])
        host = Host(
            options=HostOptions(
                host_id=host_id,
                listen_address="127.0.0.1",
                policy=self.policy,
                clock_rate=self.clock_rate,
                flush=FlushLimits(interval_s=0.2),
                copies=CopyLimits(min_interval_s=0.2, renew_s=2.0),
            ),
            credentials=CREDENTIALS,
            store=PostgresHostStore(dsn=self._dsn, host_id=host_id, reads=self.pool, timeouts=Timeouts()),
            loader=PostgresEntityLoader(self.pool),
            clock_store=PostgresClockStore(self.pool),
            catalog=self.catalog,
            copies=self.copies,
        )
        self.hosts[host_id] = host
        self._tasks[host_id] = asyncio.create_task(host.run())
        await until(lambda: host.state is HostState.RUNNING or self._tasks[host_id].done())
        return host

    async def kill(self, number: int) -> None:
        host_id = HostId(number)
        self._tasks[host_id].cancel()
        await asyncio.gather(self._tasks[host_id], return_exceptions=True)

    async def stop(self, number: int) -> None:
        host_id = HostId(number)
        self.hosts[host_id].stop()
        await self._tasks[host_id]

    def task(self, number: int) -> "asyncio.Task[None]":
        return self._tasks[HostId(number)]

    async def spread(self, *numbers: int) -> None:
        """Gives shards away until these hosts own equal shares."""
        wanted = [HostId(number) for number in numbers]
        deadline = asyncio.get_running_loop().time() + READY_TIMEOUT_S
        while True:
            owners = {shard: owner.host_id for shard, owner in (await self.supervisor.read_map()).shards.items()}
            moves = plan_moves(owners, wanted)
            if not moves:
                return
            for move in moves:
                self.hosts[move.from_host].give([move.shard_id], move.to_host)
            assert asyncio.get_running_loop().time() < deadline, "the shards did not move in time"
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        await self.router.close()
        for host_id in self._tasks:
            await self.kill(host_id)


@asynccontextmanager
async def small_cluster(
    dsn: str, *hosts: int, clock_rate: float = 1.0, copies: CopyWriter | None = None
) -> AsyncIterator[SmallCluster]:
    """A cluster whose shards are spread over the hosts named, ready to be called."""
    await migrate(dsn)
    pool = await ConnectionPool.open(dsn=dsn, application_name="small-cluster", timeouts=Timeouts(), size=4)
    cluster = SmallCluster(dsn, pool, clock_rate)
    cluster.copies = copies
    try:
        await cluster.supervisor.prepare(len(hosts))
        for number in hosts:
            await cluster.start(number)
        cluster.router.start()
        await until(lambda: cluster.router.map_complete)
        yield cluster
    finally:
        await cluster.close()
        await pool.close()


async def until(condition: object, timeout_s: float = READY_TIMEOUT_S) -> None:
    """Until ``condition()`` holds; an ``AssertionError`` when it does not in time."""
    assert callable(condition)
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "a condition did not come true in time"
        await asyncio.sleep(0.01)
