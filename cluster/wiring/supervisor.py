"""The process of the supervisor."""

import asyncio
from typing import Any

from actors.ray_control import NamedProcess, RayControl
from actors.ray_service import RayService
from actors.supervisor import Supervisor
from actors.telemetry.exposition import MetricsSocket, new_registry
from actors.telemetry.logs import configure_logging
from actors.telemetry.supervisor import SupervisorCollector
from cluster.settings import Settings
from cluster.wiring import ingress, relay, values
from persistence.postgres.pool import ConnectionPool
from persistence.postgres.supervisor_store import PostgresSupervisorStore

NAME = "supervisor"


def make(settings: dict[str, Any]) -> "SupervisorProcess":
    """``module:function`` for Ray's wrapper."""
    return SupervisorProcess(settings)


class SupervisorProcess:
    """A service process in the sense of ``actors.service_process``."""

    def __init__(self, plain: dict[str, Any]) -> None:
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
        supervisor = Supervisor(
            store=PostgresSupervisorStore(pool),
            control=RayControl(
                namespace=settings.cluster.name,
                host_factory="cluster.wiring.host:make",
                settings=self._plain,
                services=[
                    NamedProcess(
                        name=relay.NAME, actor_class=RayService, arguments=("cluster.wiring.relay:make", self._plain)
                    ),
                    NamedProcess(
                        name=ingress.NAME,
                        actor_class=RayService,
                        arguments=("cluster.wiring.ingress:make", self._plain),
                    ),
                ],
            ),
            initial_hosts=settings.cluster.hosts,
        )
        registry = new_registry()
        registry.register(SupervisorCollector(supervisor))
        metrics = MetricsSocket(registry, run_dir=settings.cluster.run_dir, process=NAME)
        await metrics.start()
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
            await metrics.close()
            await pool.close()
