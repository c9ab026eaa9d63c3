"""Ending an aiokafka client that may be stuck: its own ``stop`` waits for brokers without end."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import ProducerClosed

log = logging.getLogger(__name__)

GRACE_S = 2.0


async def close_consumer(consumer: AIOKafkaConsumer) -> None:
    """Leaves the group if it can be done soon; never raises."""
    if not await _soon(consumer.stop()):
        await _soon(consumer._client.close())


async def close_producer(producer: AIOKafkaProducer) -> None:
    """Sends what waits if it can be done soon, else forgets it; never raises.

    A sender that is stuck is cancelled. Should a request of it still get through later, Kafka refuses it: the next
    producer of the same transactional id has fenced it, and without one it is a duplicate of what is sent again.
    """
    sender: asyncio.Task[Any] | None = producer._sender.sender_task
    transactions = producer._txn_manager
    for future in (sender, transactions and transactions._transaction_waiter):
        if future is not None:
            future.add_done_callback(look_at)
    if await _soon(producer.stop()):
        return
    if sender is not None and not sender.done():
        sender.cancel()
        await asyncio.wait({sender}, timeout=GRACE_S)
        sender.cancel()
    _forget_messages(producer)
    await _soon(producer.client.close())


def _forget_messages(producer: AIOKafkaProducer) -> None:
    """Ends aiokafka's own wait for messages that nobody sends any more."""
    accumulator = producer._message_accumulator
    waiting = [batch for batches in accumulator._batches.values() for batch in batches]
    accumulator.fail_all(ProducerClosed())
    for batch in waiting:
        look_at(batch._drain_waiter)


def look_at(future: "asyncio.Future[Any]") -> None:
    """Its error is known already from elsewhere; asyncio need not complain that nobody asked for it."""
    if not future.cancelled():
        future.exception()


async def _soon(ending: Coroutine[Any, Any, None]) -> bool:
    """Whether it ended by itself within the grace time. In a task of its own: aiokafka lets the cancellation of its
    inner tasks out of ``stop``, which would look like one of ours."""
    task = asyncio.get_running_loop().create_task(ending)
    task.add_done_callback(look_at)
    await asyncio.wait({task}, timeout=GRACE_S)
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE_S)
        return False
    if task.cancelled():
        return False
    if (error := task.exception()) is not None:
        log.info("a Kafka client ended with an error", extra={"error": repr(error)})
    return True
