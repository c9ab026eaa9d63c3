"""The process of an HTTP door: one replica of ``LibraryApi``."""

import asyncio
import gc
import logging
from dataclasses import replace
from typing import Any

from actors.clock import ServiceClock
from actors.domain.ids import Micros
from actors.formats import Formats
from actors.ports import ClockStore, StoreUnavailable
from actors.release import release_formats
from actors.router import Router, RouterLimits
from actors.telemetry.exposition import new_registry
from actors.telemetry.logs import configure_logging
from actors.telemetry.neighbours import NeighbourCollector
from actors.telemetry.router import RouterCollector
from cluster.wiring import values
from cluster.wiring.belonging import Belonging
from cluster.wiring.fleet import membership, on_this_node
from cluster.wiring.neighbours import Neighbours
from persistence.postgres.clock_store import PostgresClockStore
from persistence.postgres.cluster_map import PostgresClusterMapReader
from persistence.postgres.history import PostgresSessionHistory
from persistence.postgres.pool import ConnectionPool
from serve_app.authentication import new_authenticator
from serve_app.door import Door
from serve_app.rpc.door import RpcDoor

log = logging.getLogger(__name__)

READ_CONNECTIONS = 4
CLOCK_PAUSE_S = 1.0
CLOCK_EVERY_S = 60.0


async def make(plain: dict[str, Any]) -> "DoorProcess":
    """``module:function`` for Serve's wrapper; on the loop that the door will live on."""
    return await build(plain, release_formats())


async def build(plain: dict[str, Any], formats: Formats) -> "DoorProcess":
    """A door of the release that has these formats."""
    settings = values.read_settings(plain)
    options = values.door_settings(settings)
    options = replace(options, host=on_this_node(options.host))
    configure_logging(process=options.process, level=settings.telemetry.log_level)
    gc.set_threshold(*values.GC_THRESHOLDS)
    timeouts = values.timeouts(settings)
    pool = await ConnectionPool.open(
        dsn=values.dsn(settings), application_name="library-door", timeouts=timeouts, size=READ_CONNECTIONS
    )
    router = Router(
        reader=PostgresClusterMapReader(pool),
        credentials=values.credentials(settings),
        role="door",
        limits=RouterLimits(),
        formats=formats,
    )
    clock = DoorClock(PostgresClockStore(pool), settings.cluster.clock_rate)
    registry = new_registry()
    registry.register(RouterCollector(router))
    neighbours = Neighbours(settings)
    registry.register(NeighbourCollector(neighbours.metrics))
    authenticator = new_authenticator(
        values.auth_settings(settings), registry=registry, token_check=neighbours.token_check
    )
    door = Door(
        options,
        actors=router,
        authenticator=authenticator,
        catalog=neighbours.catalog,
        downloads=neighbours.downloads,
        accounts=neighbours.accounts,
        copies=neighbours.copies,
        history=PostgresSessionHistory(pool),
        service_now=clock.now,
        registry=registry,
    )
    rpc = None
    if settings.grpc.doors == "shared":
        rpc_options = values.rpc_settings(settings)
        rpc = RpcDoor(
            replace(rpc_options, host=on_this_node(rpc_options.host)),
            actors=router,
            authenticator=authenticator,
            registry=registry,
        )
    belonging = Belonging(membership(settings, options.process, pool, formats))
    return DoorProcess(
        door=door,
        router=router,
        clock=clock,
        belonging=belonging,
        pool=pool,
        neighbours=neighbours,
        rpc=rpc,
    )


class DoorProcess:
    """The door with what it needs to be alive, and the gRPC door when it shares the process."""

    def __init__(
        self,
        *,
        door: Door,
        router: Router,
        clock: "DoorClock",
        belonging: Belonging,
        pool: ConnectionPool,
        neighbours: Neighbours,
        rpc: RpcDoor | None,
    ) -> None:
        self._door = door
        self._rpc = rpc
        self._belonging = belonging
        self._router = router
        self._clock = clock
        self._pool = pool
        self._neighbours = neighbours

    async def start(self) -> None:
        """``NewerCluster`` when this release may not run beside the others."""
        await self._belonging.begin()
        self._neighbours.start()
        self._clock.start()
        self._router.start()
        if self._rpc is not None:
            await self._rpc.start()
        await self._door.start()
        self._belonging.serves()

    async def drain(self) -> None:
        draining = [self._door.drain()] if self._rpc is None else [self._door.drain(), self._rpc.drain()]
        await asyncio.gather(*draining)
        await self._router.close()
        await self._clock.close()
        await self._neighbours.close()
        await self._belonging.end()
        await self._pool.close()

    def check_health(self) -> None:
        """Raises ``RuntimeError``, too when the cluster went on to a version that this door does not know."""
        self._belonging.check()
        self._door.check_health()
        if self._rpc is not None:
            self._rpc.check_health()

    def load(self) -> dict[str, float]:
        load = self._door.load()
        if self._rpc is not None:
            for name, figure in self._rpc.load().items():
                load[name] += figure
        return load


class DoorClock:
    """Service time for what is relative to today. A door opens without Postgres, so it is read in the background."""

    def __init__(self, store: ClockStore, rate: float) -> None:
        self._store = store
        self._rate = rate
        self._clock: ServiceClock | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._follow(), name="service clock")

    def now(self) -> Micros:
        """``StoreUnavailable`` until it was read once."""
        if self._clock is None:
            raise StoreUnavailable("the service's clock was not read yet")
        return self._clock.now()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            try:
                origin, real_now = await self._store.clock_origin(self._rate)
                self._clock = ServiceClock(origin, real_now)
                await asyncio.sleep(CLOCK_EVERY_S)
            except StoreUnavailable as away:
                log.warning("the clock could not be read", extra={"reason": str(away)})
                await asyncio.sleep(CLOCK_PAUSE_S)
