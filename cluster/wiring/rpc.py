"""The process of a gRPC door of its own: one replica of ``LibraryRpc``."""

import gc
import os
from dataclasses import replace
from typing import Any

from actors.formats import Formats
from actors.release import release_formats
from actors.router import Router, RouterLimits
from actors.telemetry.exposition import MetricsSocket, new_registry
from actors.telemetry.logs import configure_logging
from actors.telemetry.router import RouterCollector
from cluster.wiring import values
from cluster.wiring.belonging import Belonging
from cluster.wiring.fleet import membership, on_this_node
from cluster.wiring.neighbours import Neighbours
from persistence.postgres.cluster_map import PostgresClusterMapReader
from persistence.postgres.pool import ConnectionPool
from serve_app.authentication import new_authenticator
from serve_app.rpc.door import RpcDoor

MAP_CONNECTIONS = 1


async def make(plain: dict[str, Any]) -> "RpcProcess":
    """``module:function`` for Serve's wrapper; on the loop that the door will live on."""
    return await build(plain, release_formats())


async def build(plain: dict[str, Any], formats: Formats) -> "RpcProcess":
    """A door of the release that has these formats."""
    settings = values.read_settings(plain)
    process = f"rpc-{os.getpid()}"
    configure_logging(process=process, level=settings.telemetry.log_level)
    gc.set_threshold(*values.GC_THRESHOLDS)
    pool = await ConnectionPool.open(
        dsn=values.dsn(settings),
        application_name="library-rpc",
        timeouts=values.timeouts(settings),
        size=MAP_CONNECTIONS,
    )
    router = Router(
        reader=PostgresClusterMapReader(pool),
        credentials=values.credentials(settings),
        role="door",
        limits=RouterLimits(),
        formats=formats,
    )
    registry = new_registry()
    registry.register(RouterCollector(router))
    options = values.rpc_settings(settings)
    options = replace(options, host=on_this_node(options.host))
    neighbours = Neighbours(settings)
    authenticator = new_authenticator(
        values.auth_settings(settings), registry=registry, token_check=neighbours.token_check
    )
    door = RpcDoor(options, actors=router, authenticator=authenticator, registry=registry)
    metrics = MetricsSocket(registry, run_dir=settings.cluster.run_dir, process=process)
    belonging = Belonging(membership(settings, process, pool, formats))
    return RpcProcess(door=door, router=router, belonging=belonging, pool=pool, metrics=metrics, neighbours=neighbours)


class RpcProcess:
    """The door with what it needs to be alive."""

    def __init__(
        self,
        *,
        door: RpcDoor,
        router: Router,
        belonging: Belonging,
        pool: ConnectionPool,
        metrics: MetricsSocket,
        neighbours: Neighbours,
    ) -> None:
        self._neighbours = neighbours
        self._belonging = belonging
        self._door = door
        self._router = router
        self._pool = pool
        self._metrics = metrics

    async def start(self) -> None:
        """``NewerCluster`` when this release may not run beside the others."""
        await self._belonging.begin()
        self._router.start()
        await self._metrics.start()
        await self._door.start()
        self._belonging.serves()

    async def drain(self) -> None:
        await self._door.drain()
        await self._router.close()
        await self._metrics.close()
        await self._belonging.end()
        await self._neighbours.close()
        await self._pool.close()

    def check_health(self) -> None:
        self._belonging.check()
        self._door.check_health()

    def load(self) -> dict[str, float]:
        return self._door.load()
