"""The process of the outbox relay."""

import random
from typing import Any

from actors.formats import Formats
from actors.relay.metrics import RelayMetrics
from actors.relay.relay import OutboxRelay
from actors.release import release_formats
from actors.telemetry.exposition import MetricsSocket, new_registry
from actors.telemetry.kafka import RelayCollector
from actors.telemetry.logs import configure_logging
from cluster.settings import Settings
from cluster.wiring import values
from cluster.wiring.fleet import membership
from persistence.kafka.topics import Topic
from persistence.kafka.transactional_producer import TransactionalProducer
from persistence.postgres.outbox_queue import PostgresOutboxQueue
from persistence.postgres.pool import ConnectionPool

NAME = "outbox-relay"


def make(settings: dict[str, Any]) -> "RelayProcess":
    """``module:function`` for Ray's wrapper."""
    return RelayProcess(values.read_settings(settings), release_formats())


class RelayProcess:
    """A service process in the sense of ``actors.service_process``."""

    def __init__(self, settings: Settings, formats: Formats) -> None:
        self._formats = formats
        self._settings = settings
        self._figures = RelayMetrics()
        connection = values.kafka_connection(settings)
        topic = Topic(name=settings.kafka.topic_library_events, partitions=values.EVENT_PARTITIONS)
        self._relay = OutboxRelay(
            PostgresOutboxQueue(values.dsn(settings), timeouts=values.timeouts(settings)),
            lambda: TransactionalProducer(
                connection,
                topic=topic,
                transactional_id=f"{settings.cluster.name}-{NAME}",
                create_topics=settings.is_development,
            ),
            metrics=self._figures,
            random=random.random,
            formats=formats,
        )

    def stop(self) -> None:
        self._relay.stop()

    async def run(self) -> None:
        configure_logging(process=NAME, level=self._settings.telemetry.log_level)
        settings = self._settings
        pool = await ConnectionPool.open(
            dsn=values.dsn(settings), application_name="library-relay-fleet", timeouts=values.timeouts(settings), size=1
        )
        member = membership(settings, NAME, pool, self._formats)
        await member.join()
        registry = new_registry()
        registry.register(RelayCollector(self._figures))
        metrics = MetricsSocket(registry, run_dir=self._settings.cluster.run_dir, process=NAME)
        await metrics.start()
        try:
            member.serves()
            await member.beside(self._relay.run())
        finally:
            await metrics.close()
            await pool.close()
