"""The payment service: purchase events into Kafka, CloudEvents 1.0 in structured JSON, keyed by the user.

An event counts as sent when all in-sync replicas have it; until then it is sent again, with the same id.
"""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from itertools import count
from time import perf_counter
from typing import Protocol

from aiokafka import AIOKafkaProducer

from cluster.replay.figures import Call, Figures
from cluster.replay.patience import Retries
from cluster.replay.plan import Order
from persistence.kafka.connection import KAFKA_ERRORS

EVENT_TYPE = "payment.purchase.completed.v1"
CONTENT_TYPE = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


class Topic(Protocol):
    """Where events go."""

    async def send(self, key: bytes, value: bytes) -> None:
        """Returns when the event is durable; raises one of ``KAFKA_ERRORS`` if that is not known."""
        ...


class KafkaTopic:
    """One topic of a real Kafka, with one producer."""

    def __init__(self, producer: AIOKafkaProducer, name: str) -> None:
        self._producer = producer
        self._name = name

    async def send(self, key: bytes, value: bytes) -> None:
        await self._producer.send_and_wait(self._name, value, key=key, headers=CONTENT_TYPE)


class Payments:
    """Sends orders for all users of a run. ``now`` is the wall clock, for the events' own times."""

    def __init__(self, topic: Topic, *, figures: Figures, retries: Retries, now: Callable[[], datetime]) -> None:
        self._topic = topic
        self._figures = figures
        self._retries = retries
        self._now = now

    async def pay(self, user_id: str, order: Order) -> bytes:
        """Sends a new order's event and returns it, for sending it again. Raises ``GaveUp``."""
        event = purchase_event(user_id, order, self._now())
        await self._send(user_id, event)
        self._figures.orders_sent += 1
        return event

    async def repeat(self, user_id: str, event: bytes) -> None:
        """The same event once more, as payment services do. Raises ``GaveUp``."""
        await self._send(user_id, event)
        self._figures.orders_repeated += 1

    async def _send(self, user_id: str, event: bytes) -> None:
        loop = asyncio.get_running_loop()
        began, sent_at = loop.time(), perf_counter()
        for attempt in count():
            try:
                await self._topic.send(user_id.encode(), event)
            except KAFKA_ERRORS as error:
                problem = type(error).__name__
            else:
                self._figures.latencies_s[Call.PURCHASE].append(perf_counter() - sent_at)
                return
            await self._retries.wait(EVENT_TYPE, began=began, attempt=attempt, problem=problem)


def purchase_event(user_id: str, order: Order, at: datetime) -> bytes:
    time = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    items = [{"product_id": product_id, "product_type": "game", "quantity": 1} for product_id in order.product_ids]
    return json.dumps(
        {
            "specversion": "1.0",
            "id": order.event_id,
            "source": "/payment-service",
            "type": EVENT_TYPE,
            "subject": order.order_id,
            "time": time,
            "datacontenttype": "application/json",
            "data": {
                "user_id": user_id,
                "order_id": order.order_id,
                "items": items,
                "purchase_timestamp": time,
            },
        },
        separators=(",", ":"),
    ).encode()
