"""The contract's world on a real Postgres, whose connections a proxy can break."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from actors.domain.ids import HostId, Micros, Seq, UserId
from actors.domain.model import Anomaly
from actors.ports import HostStore, OutboxRow
from persistence.postgres.clock_store import PostgresClockStore
from persistence.postgres.cluster_map import PostgresClusterMapReader
from persistence.postgres.codecs import use_domain_types
from persistence.postgres.connection import Timeouts
from persistence.postgres.fleet_store import PostgresFleetStore
from persistence.postgres.history import PostgresSessionHistory
from persistence.postgres.host_store import PostgresHostStore
from persistence.postgres.loader import PostgresEntityLoader
from persistence.postgres.migrate import migrate
from persistence.postgres.pool import ConnectionPool
from persistence.postgres.supervisor_store import PostgresSupervisorStore
from tests.contract.world import Held, SessionName, World
from tests.support.cutting_proxy import COMMIT, Cut, CuttingProxy, Plan

PATIENT = Timeouts()
IMPATIENT = Timeouts(commit_s=1, flush_s=1)

MARKER: dict[SessionName, bytes] = {"journal": b"", "flush": COMMIT}


class PostgresWorld(World):
    """``admin`` is a connection past the proxy, for looking and for damage."""

    def __init__(self, *, dsn: str, proxy: CuttingProxy, pool: ConnectionPool, admin: Any) -> None:
        self.dsn = dsn
        self.proxy = proxy
        self.pool = pool
        self.admin = admin
        self.timeouts = PATIENT
        self.loader = PostgresEntityLoader(pool)
        self.map_reader = PostgresClusterMapReader(pool)
        self.supervisor = PostgresSupervisorStore(pool)
        self.clock = PostgresClockStore(pool)
        self.fleet = PostgresFleetStore(pool)
        self.history = PostgresSessionHistory(pool)
        self.stores: list[PostgresHostStore] = []

    def store(self, host_id: HostId) -> HostStore:
        store = PostgresHostStore(dsn=self.dsn, host_id=host_id, reads=self.pool, timeouts=self.timeouts)
        self.stores.append(store)
        return store

    def lose(self, session: SessionName, *, happened: bool) -> None:
        self.proxy.plan(session, Cut.AFTER if happened else Cut.BEFORE, MARKER[session])

    def hold(self, session: SessionName) -> Held:
        return ProxyHeld(self.proxy.plan(session, Cut.HELD, MARKER[session]))

    def impatient(self) -> None:
        self.timeouts = IMPATIENT

    async def raise_epoch(self, host_id: HostId) -> None:
        await self.admin.execute("update hosts set epoch = epoch + 1 where host_id = $1", host_id)

    async def break_connections(self) -> None:
        await self.admin.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
        )

    async def stop(self) -> None:
        self.proxy.refuse()

    async def journal(self, host_id: HostId) -> list[tuple[Seq, bytes]]:
        rows = await self.admin.fetch("select seq, body from journal where host_id = $1 order by seq", host_id)
        return [(row["seq"], row["body"]) for row in rows]

    async def outbox(self) -> Sequence[OutboxRow]:
        rows = await self.admin.fetch(
            "select shard_id, term, seq, n, user_id, body, version from outbox order by 1, 2, 3, 4"
        )
        return [OutboxRow(*row) for row in rows]

    async def anomalies(self) -> list[tuple[UserId, Anomaly]]:
        rows = await self.admin.fetch(
            "select user_id, id, kind, occurred_at, product_id, session_id from playtime_anomalies"
        )
        return [(user_id, Anomaly(*fields)) for user_id, *fields in rows]

    async def now(self) -> Micros:
        now: Micros = await self.admin.fetchval("select clock_timestamp()")
        return now


class ProxyHeld(Held):
    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    async def arrived(self) -> None:
        await asyncio.wait_for(self._plan.arrived.wait(), 10)

    async def release(self) -> None:
        self._plan.released.set()
        await asyncio.wait_for(self._plan.delivered.wait(), 10)


@asynccontextmanager
async def postgres_world(dsn: str) -> AsyncIterator[PostgresWorld]:
    """A migrated database; ``dsn`` is that of an empty one."""
    await migrate(dsn)
    parts = urlsplit(dsn)
    assert parts.hostname is not None
    assert parts.port is not None
    admin = await asyncpg.connect(dsn)
    await use_domain_types(admin)
    async with CuttingProxy(parts.hostname, parts.port).running() as proxy:
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        through = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{proxy.port}"))
        pool = await ConnectionPool.open(dsn=through, application_name="library-test", timeouts=PATIENT)
        world = PostgresWorld(dsn=through, proxy=proxy, pool=pool, admin=admin)
        try:
            yield world
        finally:
            for store in world.stores:
                await store.close()
            await pool.close()
            await admin.close()
