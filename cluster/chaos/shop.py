"""The payment service of a run: events straight into Kafka, sent again with the same ids until they are in."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Literal

from aiokafka import AIOKafkaProducer

from cluster.chaos.caller import PATIENCE_S, Unanswered
from cluster.chaos.calls import Calls
from cluster.replay.patience import backoff_s
from cluster.replay.payments import CONTENT_TYPE
from persistence.kafka.connection import KAFKA_ERRORS, KafkaConnection

SENT_TWICE_SHARE = 0.2

PaperKind = Literal["purchase", "gift", "key", "refund"]
_WORDS: Mapping[PaperKind, tuple[str, str, str]] = {
    "purchase": ("payment.purchase.completed.v1", "order_id", "purchase_timestamp"),
    "gift": ("payment.gift.accepted.v1", "gift_id", "accepted_timestamp"),
    "key": ("payment.key.activated.v1", "activation_id", "activation_timestamp"),
    "refund": ("payment.purchase.refunded.v1", "order_id", "refund_timestamp"),
}
"""The event's type, and what it calls the order and its time."""


@dataclass(frozen=True, kw_only=True)
class Paper:
    """What gives or takes products, always under the same ids."""

    kind: PaperKind
    user_id: str
    order_id: str
    event_id: str
    product_ids: tuple[str, ...]
    at: str

    def event(self) -> bytes:
        kind, order, time = _WORDS[self.kind]
        items = [{"product_id": product_id, "product_type": "game", "quantity": 1} for product_id in self.product_ids]
        return json.dumps({
            "specversion": "1.0",
            "id": self.event_id,
            "source": "/payment-service",
            "type": kind,
            "subject": self.order_id,
            "time": self.at,
            "datacontenttype": "application/json",
            "data": {"user_id": self.user_id, order: self.order_id, "items": items, time: self.at},
        }).encode()  # fmt: skip


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class Shop:
    """``topics`` of each kind of event."""

    producer: AIOKafkaProducer
    topics: Mapping[PaperKind, str]
    calls: Calls
    random: Random

    async def hand_in(self, who: str, paper: Paper) -> None:
        """Returns when the event is durable; now and then it is sent once more. ``Unanswered``."""
        for _ in range(2 if self.random.random() < SENT_TWICE_SHARE else 1):
            await self._send(who, paper)

    async def _send(self, who: str, paper: Paper) -> None:
        loop = asyncio.get_running_loop()
        call = self.calls.begin(who, paper.kind, paper.order_id)
        key, event, topic = paper.user_id.encode(), paper.event(), self.topics[paper.kind]
        try:
            while True:
                began = loop.time()
                try:
                    await self.producer.send_and_wait(topic, event, key=key, headers=CONTENT_TYPE)
                except KAFKA_ERRORS as error:
                    self.calls.attempted(call, type(error).__name__, took_s=loop.time() - began)
                else:
                    self.calls.answered(call, "in Kafka", took_s=loop.time() - began)
                    return
                if loop.time() > call.began + PATIENCE_S:
                    raise Unanswered(f"a {paper.kind} did not get into Kafka within {PATIENCE_S:.0f} s")
                await asyncio.sleep(backoff_s(call.attempt, self.random))
        finally:
            self.calls.end(call)


@asynccontextmanager
async def open_shop(
    connection: KafkaConnection, topics: Mapping[PaperKind, str], calls: Calls, random: Random
) -> AsyncIterator[Shop]:
    producer = AIOKafkaProducer(**connection.arguments(), acks="all", linger_ms=5)
    await producer.start()
    try:
        yield Shop(producer=producer, topics=topics, calls=calls, random=random)
    finally:
        await producer.stop()
