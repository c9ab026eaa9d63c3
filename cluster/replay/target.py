"""The running service as this command finds it: in the environment, else in the development stack that runs here."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count

import asyncpg
from aiokafka import AIOKafkaProducer

from cluster.dev.stack import DevStack, default_directory
from cluster.development import development_settings
from cluster.replay.evidence import CANNOT_READ
from cluster.replay.patience import Retries
from cluster.replay.payments import KafkaTopic, Topic
from cluster.settings import Settings, load_settings
from cluster.wiring.values import kafka_connection
from persistence.kafka.connection import KAFKA_ERRORS

SERVERS = {"POSTGRES_DSN", "KAFKA_BROKERS"}


def find_settings(environ: Mapping[str, str]) -> Settings:
    """Raises ``SettingsError``, ``DevStackError``."""
    if environ.keys() >= SERVERS:
        return load_settings({"LIBRARY_ENVIRONMENT": "development", **environ})
    return development_settings(environ, DevStack(default_directory()))


def base_url(settings: Settings) -> str:
    """As ``cluster.service`` has it, but without importing Ray, which costs this command 3 s and 100 MB."""
    host = settings.server.http_host
    scheme = "http" if settings.tls.certificate_file is None else "https"
    return f"{scheme}://{'127.0.0.1' if host == '0.0.0.0' else host}:{settings.server.http_port}"


async def clock_rate_of(dsn: str) -> float | None:
    """The rate that the service stored with its clock's origin; None if there is none to read."""
    try:
        connection = await asyncpg.connect(dsn, timeout=10.0, command_timeout=10.0)
    except CANNOT_READ:
        return None
    try:
        rate: float | None = await connection.fetchval("select rate from clock_origin")
    except CANNOT_READ:
        return None
    finally:
        await connection.close(timeout=10.0)
    return rate


@asynccontextmanager
async def purchases_topic(settings: Settings, retries: Retries) -> AsyncIterator[Topic]:
    """The topic for purchase events, as soon as Kafka can be reached. Raises ``GaveUp``."""
    producer = await _connect(settings, retries)
    try:
        yield KafkaTopic(producer, settings.kafka.topic_purchases)
    finally:
        await producer.stop()


async def _connect(settings: Settings, retries: Retries) -> AIOKafkaProducer:
    connection = replace(kafka_connection(settings), request_timeout_s=retries.patience.attempt_s)
    began = asyncio.get_running_loop().time()
    for attempt in count():
        producer = AIOKafkaProducer(**connection.arguments(), acks="all", linger_ms=5)
        try:
            await producer.start()
        except KAFKA_ERRORS as error:
            await producer.stop()
            await retries.wait("connecting to Kafka", began=began, attempt=attempt, problem=type(error).__name__)
        else:
            return producer
    raise AssertionError("count() has no end")
