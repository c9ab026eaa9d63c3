"""The running service as this command finds it: addresses and secrets, and the real Kafka and Postgres behind them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import asyncpg
import jwt
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from cluster.replay.evidence import CANNOT_READ
from cluster.replay.patience import Retries
from cluster.replay.payments import KafkaTopic, Topic


@dataclass(frozen=True, kw_only=True)
class Target:
    """``token_secret``: the HS256 secret of development; ``audience`` and ``issuer`` as the service checks them."""

    url: str
    kafka_brokers: str
    purchases_topic: str
    postgres_dsn: str = field(repr=False)
    token_secret: bytes = field(repr=False)
    audience: str | None = None
    issuer: str | None = None


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


def headers_maker(target: Target, *, valid_for: timedelta = timedelta(hours=24)) -> Callable[[str], dict[str, str]]:
    """Makes a user's request headers, with a development token."""
    now = datetime.now(UTC)
    claims: dict[str, object] = {"iat": now, "exp": now + valid_for}
    if target.audience is not None:
        claims["aud"] = target.audience
    if target.issuer is not None:
        claims["iss"] = target.issuer

    def headers_of(user_id: str) -> dict[str, str]:
        token = jwt.encode({**claims, "sub": user_id}, target.token_secret, algorithm="HS256")
        return {"Authorization": f"Bearer {token}"}

    return headers_of


@asynccontextmanager
async def purchases_topic(target: Target, retries: Retries) -> AsyncIterator[Topic]:
    """The topic for purchase events, as soon as Kafka can be reached. Raises ``GaveUp``."""
    producer = await _connect(target, retries)
    try:
        yield KafkaTopic(producer, target.purchases_topic)
    finally:
        await producer.stop()


async def _connect(target: Target, retries: Retries) -> AIOKafkaProducer:
    began = asyncio.get_running_loop().time()
    for attempt in count():
        producer = AIOKafkaProducer(
            bootstrap_servers=target.kafka_brokers,
            acks="all",
            linger_ms=5,
            request_timeout_ms=int(retries.patience.attempt_s * 1000),
            client_id="library-replay",
        )
        try:
            await producer.start()
        except KafkaError as error:
            await producer.stop()
            await retries.wait("connecting to Kafka", began=began, attempt=attempt, problem=type(error).__name__)
        else:
            return producer
    raise AssertionError("count() has no end")
