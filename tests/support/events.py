"""Sending and reading events as the neighbouring services would, with aiokafka and an independent CloudEvents reader.

What is read is checked: a CloudEvent by the ``cloudevents`` package, its data by the schema of its type in
``docs/events``.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).parents[2] / "docs" / "events"
PURCHASES = "payment.purchase.completed.v1"


@cache
def validator(event_type: str) -> Draft202012Validator:
    """Of the ``data`` of an event."""
    schema = json.loads((SCHEMAS / f"{event_type}.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def purchase(user_id: UUID, product_ids: Sequence[UUID], at: str = "2024-03-15T09:55:00Z") -> dict[str, Any]:
    """The payload of the specification, 5.2."""
    return {
        "user_id": str(user_id),
        "order_id": str(uuid4()),
        "items": [{"product_id": str(product), "product_type": "game", "quantity": 1} for product in product_ids],
        "purchase_timestamp": at,
    }


def installation(user_id: UUID, product_id: UUID, event_type: str, at: str) -> dict[str, Any]:
    """The payload of the specification, 5.2; ``event_type`` is ``installed`` or ``uninstalled``."""
    return {
        "user_id": str(user_id),
        "product_id": str(product_id),
        "version_id": str(uuid4()),
        "event_type": event_type,
        "timestamp": at,
    }


def structured(event_type: str, data: Mapping[str, Any], **attributes: Any) -> bytes:
    """A CloudEvent 1.0 in structured JSON."""
    envelope = {"specversion": "1.0", "id": str(uuid4()), "source": "/tests", "type": event_type}
    return json.dumps({**envelope, **attributes, "data": dict(data)}).encode()


async def send(brokers: str, topic: str, *messages: tuple[bytes | None, bytes | None]) -> None:
    """Pairs of key and value, in order."""
    producer = AIOKafkaProducer(bootstrap_servers=brokers, enable_idempotence=True)
    await producer.start()
    try:
        for sent in [await producer.send(topic, value, key=key) for key, value in messages]:
            await sent
    finally:
        await producer.stop()


async def send_purchase(brokers: str, user_id: UUID, product_ids: Sequence[UUID], topic: str = PURCHASES) -> None:
    await send(brokers, topic, (str(user_id).encode(), structured(PURCHASES, purchase(user_id, product_ids))))


async def read_messages(
    brokers: str, topic: str, enough: Callable[[list[Any]], bool], timeout_s: float = 30.0
) -> list[Any]:
    """The topic's committed messages from the beginning, until ``enough``; ``TimeoutError`` after ``timeout_s``."""
    found: list[Any] = []
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=brokers, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    try:
        async with asyncio.timeout(timeout_s):
            await consumer.start()
            while not enough(found):
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    found += batch
    finally:
        await consumer.stop()
    return found


async def read_events(
    brokers: str, topic: str, enough: Callable[[list[CloudEvent]], bool], timeout_s: float = 30.0
) -> list[CloudEvent]:
    """As ``read_messages``, checked and parsed."""
    messages = await read_messages(brokers, topic, lambda found: enough([parse(one) for one in found]), timeout_s)
    return [parse(message) for message in messages]


def parse(message: Any) -> CloudEvent:
    """Checks the content type, the key, the envelope and the data of a published message."""
    assert ("content-type", b"application/cloudevents+json") in tuple(message.headers)
    event = parse_body(message.value)
    assert message.key.decode() == event.get_extension("partitionkey")
    return event


def parse_body(body: bytes) -> CloudEvent:
    """Checks the envelope and the data of an outbox row."""
    event = JSONFormat().read(CloudEvent, body)
    validator(event.get_type()).validate(event.get_data())
    assert event.get_source() == "/library-service"
    return event
