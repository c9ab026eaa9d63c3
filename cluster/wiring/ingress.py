"""The process of the Kafka ingress."""

import asyncio
import random
from typing import Any

from actors.catalog import ProductUpdate
from actors.formats import Formats
from actors.ingress.ingress import keep_ingress
from actors.ingress.metrics import IngressMetrics
from actors.release import release_formats
from actors.router import Router, RouterLimits
from actors.telemetry.exposition import MetricsSocket, new_registry
from actors.telemetry.kafka import IngressCollector
from actors.telemetry.logs import configure_logging
from actors.telemetry.router import RouterCollector
from cluster.settings import Settings
from cluster.wiring import values
from cluster.wiring.fleet import membership
from cluster.wiring.neighbours import redis_settings
from persistence.kafka.consumer import KafkaConsumer
from persistence.kafka.dead_letter_producer import DeadLetterProducer, dead_letter_topic
from persistence.postgres.cluster_map import PostgresClusterMapReader
from persistence.postgres.pool import ConnectionPool
from persistence.redis.connection import RedisCalls
from persistence.redis.products import RedisProducts

NAME = "kafka-ingress-0"


def make(settings: dict[str, Any]) -> "IngressProcess":
    """``module:function`` for Ray's wrapper."""
    return IngressProcess(values.read_settings(settings), release_formats())


class IngressProcess:
    """A service process in the sense of ``actors.service_process``."""

    def __init__(self, settings: Settings, formats: Formats) -> None:
        self._formats = formats
        self._settings = settings
        self._stop = asyncio.Event()

    def stop(self) -> None:
        self._stop.set()

    async def run(self) -> None:
        settings = self._settings
        configure_logging(process=NAME, level=settings.telemetry.log_level)
        pool = await ConnectionPool.open(
            dsn=values.dsn(settings), application_name="library-ingress", timeouts=values.timeouts(settings)
        )
        member = membership(settings, NAME, pool, self._formats)
        await member.join()
        router = Router(
            reader=PostgresClusterMapReader(pool),
            credentials=values.credentials(settings),
            role="ingress",
            limits=RouterLimits(),
            formats=self._formats,
        )
        router.start()
        redis = redis_settings(settings)
        cache = None if redis is None else RedisCalls(redis.open())
        connection = values.kafka_connection(settings)
        create = settings.is_development
        dead_letters = DeadLetterProducer(
            connection, topic=dead_letter_topic(settings.kafka.topic_dead_letters), create_topics=create
        )
        figures = IngressMetrics()
        registry = new_registry()
        registry.register(IngressCollector(figures))
        registry.register(RouterCollector(router))
        metrics = MetricsSocket(registry, run_dir=settings.cluster.run_dir, process=NAME)
        await metrics.start()
        member.serves()
        try:
            await member.beside(
                keep_ingress(
                    lambda: KafkaConsumer(
                        connection,
                        group_id=settings.kafka.consumer_group,
                        topics=values.consumed_topics(settings),
                        create_topics=create,
                    ),
                    calls=router,
                    dead_letters=dead_letters,
                    products=NobodyRemembers() if cache is None else RedisProducts(cache),
                    where=values.event_routes(settings),
                    stop=self._stop,
                    random=random.random,
                    metrics=figures,
                )
            )
        finally:
            await dead_letters.close()
            if cache is not None:
                await cache.close()
            await router.close()
            await metrics.close()
            await pool.close()


class NobodyRemembers:
    """News of products where processes share no cache: each finds out when its own memory runs out."""

    async def apply(self, update: ProductUpdate) -> None:
        """Nobody is told."""
