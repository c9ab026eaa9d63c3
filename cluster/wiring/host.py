"""The process of one engine host."""

import gc
from collections.abc import Iterable
from typing import Any

from actors.domain.ids import HostId, ShardId
from actors.formats import Formats
from actors.host import Host
from actors.release import release_formats
from actors.telemetry.exposition import MetricsSocket, new_registry
from actors.telemetry.host import HostCollector
from actors.telemetry.logs import configure_logging
from actors.telemetry.neighbours import NeighbourCollector
from cluster.settings import Settings
from cluster.wiring import values
from cluster.wiring.fleet import membership, on_this_node
from cluster.wiring.neighbours import Neighbours
from persistence.postgres.clock_store import PostgresClockStore
from persistence.postgres.host_store import PostgresHostStore
from persistence.postgres.loader import PostgresEntityLoader
from persistence.postgres.pool import ConnectionPool

READ_CONNECTIONS = 4


def make(settings: dict[str, Any], host_id: int) -> "HostProcess":
    """``module:function`` for Ray's wrapper."""
    return HostProcess(values.read_settings(settings), HostId(host_id), release_formats())


class HostProcess:
    """A service process in the sense of ``actors.service_process``, which also gives shards away."""

    def __init__(self, settings: Settings, host_id: HostId, formats: Formats) -> None:
        self._formats = formats
        self._settings = settings
        self._host_id = host_id
        self._host: Host | None = None
        self._stop_asked = False

    @property
    def state(self) -> str:
        return "starting" if self._host is None else self._host.state.value

    def give(self, shard_ids: Iterable[ShardId], to_host: HostId) -> int:
        return 0 if self._host is None else self._host.give(shard_ids, to_host)

    def stop(self) -> None:
        self._stop_asked = True
        if self._host is not None:
            self._host.stop()

    async def run(self) -> None:
        settings = self._settings
        name = f"host-{self._host_id}"
        configure_logging(process=name, level=settings.telemetry.log_level)
        gc.set_threshold(*values.GC_THRESHOLDS)
        timeouts = values.timeouts(settings)
        reads = await ConnectionPool.open(
            dsn=values.dsn(settings), application_name=f"library-{name}-reads", timeouts=timeouts, size=READ_CONNECTIONS
        )
        member = membership(settings, name, reads, self._formats)
        await member.join()
        address = on_this_node(settings.cluster.node_address)
        listen = settings.cluster.node_listen_address
        neighbours = Neighbours(settings)
        host = self._host = Host(
            options=values.host_options(settings, self._host_id, listen or address, address),
            credentials=values.credentials(settings),
            store=PostgresHostStore(dsn=values.dsn(settings), host_id=self._host_id, reads=reads, timeouts=timeouts),
            loader=PostgresEntityLoader(reads),
            clock_store=PostgresClockStore(reads),
            catalog=neighbours.catalog,
            formats=self._formats,
            on_serving=member.serves,
            copies=neighbours.copies,
        )
        if self._stop_asked:
            host.stop()
        registry = new_registry()
        registry.register(HostCollector(host.metrics))
        registry.register(NeighbourCollector(neighbours.metrics))
        metrics = MetricsSocket(registry, run_dir=settings.cluster.run_dir, process=name)
        await metrics.start()
        neighbours.start()
        try:
            await member.beside(host.run())
        finally:
            await neighbours.close()
            await metrics.close()
            await reads.close()
