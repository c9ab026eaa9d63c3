"""The payment service of a run: purchase events straight into Kafka, sent again with the same ids until they are in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from aiokafka import AIOKafkaProducer

from cluster.chaos.caller import PATIENCE_S, Unanswered
from cluster.chaos.calls import Calls
from cluster.replay.patience import backoff_s
from cluster.replay.payments import CONTENT_TYPE, purchase_event
from cluster.replay.plan import Order
from persistence.kafka.connection import KAFKA_ERRORS, KafkaConnection

SENT_TWICE_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class Shop:
    producer: AIOKafkaProducer
    topic: str
    calls: Calls
    random: Random

    async def sell(self, who: str, user_id: str, order: Order) -> None:
        """Returns when the event is durable; now and then it is sent once more. ``Unanswered``."""
        event = purchase_event(user_id, order, datetime.now(UTC))
        for _ in range(2 if self.random.random() < SENT_TWICE_SHARE else 1):
            await self._send(who, user_id, order, event)

    async def _send(self, who: str, user_id: str, order: Order, event: bytes) -> None:
        loop = asyncio.get_running_loop()
        call = self.calls.begin(who, "purchase", order.order_id)
        try:
            while True:
                began = loop.time()
                try:
                    await self.producer.send_and_wait(self.topic, event, key=user_id.encode(), headers=CONTENT_TYPE)
                except KAFKA_ERRORS as error:
                    self.calls.attempted(call, type(error).__name__, took_s=loop.time() - began)
                else:
                    self.calls.answered(call, "in Kafka", took_s=loop.time() - began)
                    return
                if loop.time() > call.began + PATIENCE_S:
                    raise Unanswered(f"a purchase did not get into Kafka within {PATIENCE_S:.0f} s")
                await asyncio.sleep(backoff_s(call.attempt, self.random))
        finally:
            self.calls.end(call)


@asynccontextmanager
async def open_shop(connection: KafkaConnection, topic: str, calls: Calls, random: Random) -> AsyncIterator[Shop]:
    producer = AIOKafkaProducer(**connection.arguments(), acks="all", linger_ms=5)
    await producer.start()
    try:
        yield Shop(producer=producer, topic=topic, calls=calls, random=random)
    finally:
        await producer.stop()
