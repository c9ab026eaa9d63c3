"""The process of the supervisor."""

import asyncio
from typing import Any

from msgspec import Struct

from actors.formats import Formats
from actors.ray_control import NamedProcess, RayControl
from actors.ray_service import RayService
from actors.release import release_formats
from actors.supervisor import Supervisor
from actors.telemetry.exposition import MetricsSocket, new_registry
from actors.telemetry.logs import configure_logging
from actors.telemetry.supervisor import SupervisorCollector
from cluster.settings import Settings
from cluster.wiring import ingress, relay, values
from cluster.wiring.fleet import membership
from persistence.postgres.fleet_store import PostgresFleetStore
from persistence.postgres.pool import ConnectionPool
from persistence.postgres.supervisor_store import PostgresSupervisorStore

NAME = "supervisor"


class Factories(Struct, frozen=True, kw_only=True):
    """Of the processes that a supervisor starts, as ``module:function``."""

    host: str = "cluster.wiring.host:make"
    relay: str = "cluster.wiring.relay:make"
    ingress: str = "cluster.wiring.ingress:make"


def make(settings: dict[str, Any]) -> "SupervisorProcess":
    """``module:function`` for Ray's wrapper."""
    return SupervisorProcess(settings, Factories(), release_formats())


class SupervisorProcess:
    """A service process in the sense of ``actors.service_process``."""

    def __init__(self, plain: dict[str, Any], factories: Factories, formats: Formats) -> None:
        self._factories = factories
        self._formats = formats
        self._plain = plain
        self._settings: Settings = values.read_settings(plain)
        self._stop = asyncio.Event()

    def stop(self) -> None:
        self._stop.set()

    async def run(self) -> None:
        settings = self._settings
        configure_logging(process=NAME, level=settings.telemetry.log_level)
        pool = await ConnectionPool.open(
            dsn=values.dsn(settings), application_name="library-supervisor", timeouts=values.timeouts(settings)
        )
        member = membership(settings, NAME, pool, self._formats)
        await member.join()
        supervisor = Supervisor(
            store=PostgresSupervisorStore(pool),
            control=RayControl(
                namespace=settings.cluster.name,
                host_factory=self._factories.host,
                settings=self._plain,
                services=[
                    NamedProcess(
                        name=relay.NAME, actor_class=RayService, arguments=(self._factories.relay, self._plain)
                    ),
                    NamedProcess(
                        name=ingress.NAME,
                        actor_class=RayService,
                        arguments=(self._factories.ingress, self._plain),
                    ),
                ],
            ),
            fleet=PostgresFleetStore(pool),
            release=settings.cluster.release,
            initial_hosts=settings.cluster.hosts,
        )
        registry = new_registry()
        registry.register(SupervisorCollector(supervisor))
        metrics = MetricsSocket(registry, run_dir=settings.cluster.run_dir, process=NAME)
        await metrics.start()
        member.serves()
        try:
            await member.beside(self._rounds(supervisor))
        finally:
            await metrics.close()
            await pool.close()

    async def _rounds(self, supervisor: Supervisor) -> None:
        rounds = asyncio.create_task(supervisor.run())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait({rounds, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            rounds.cancel()
            stopping.cancel()
            await asyncio.gather(rounds, stopping, return_exceptions=True)
