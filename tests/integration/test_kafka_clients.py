"""Clients that lose their broker: every call ends in time, and closing leaves nothing behind (promise 6)."""

import asyncio
from uuid import uuid4

import pytest

from actors.ingress.ports import BrokerUnavailable, DeadLetter, Partition, Record
from actors.relay.ports import Message, PublishFailed
from cluster.dev.stack import DevStack
from persistence.kafka.connection import KafkaConnection
from persistence.kafka.consumer import KafkaConsumer
from persistence.kafka.dead_letter_producer import DeadLetterProducer
from persistence.kafka.topics import Topic
from persistence.kafka.transactional_producer import TransactionalProducer

LETTER = DeadLetter(
    record=Record(partition=Partition("t", 0), offset=1, timestamp_ms=0, key=b"k", value=b"v"), reason="x", detail=""
)
MESSAGE = Message(key=b"k", value=b"v")


class Nobody:
    async def revoked(self, partitions: object) -> None: ...

    async def assigned(self, partitions: object) -> None: ...


async def test_clients_of_a_dead_broker_give_up_in_time_and_leave_no_task(
    kafka_brokers: str, dev_stack: DevStack
) -> None:
    """Promise 6; R-EVT-2, R-EVT-3: their owners open others."""
    connection = KafkaConnection(brokers=kafka_brokers, request_timeout_s=2)
    topic = Topic(name=uuid4().hex)
    tasks = len(asyncio.all_tasks())
    producer = TransactionalProducer(
        connection, topic=topic, transactional_id=topic.name, create_topics=True, deadline_s=3
    )
    await producer.open()
    consumer = KafkaConsumer(connection, group_id=topic.name, topics=[topic], deadline_s=2)
    await consumer.start(Nobody())
    dead_letters = DeadLetterProducer(connection, topic=topic, deadline_s=2)
    await dead_letters.put(LETTER)
    try:
        dev_stack.kafka.kill()
        with pytest.raises(PublishFailed):
            await producer.publish([MESSAGE])
        with pytest.raises(BrokerUnavailable):
            await dead_letters.put(LETTER)
        with pytest.raises(BrokerUnavailable):
            await consumer.commit({Partition(topic.name, 0): 1})
        again = TransactionalProducer(connection, topic=topic, transactional_id=topic.name)
        with pytest.raises(PublishFailed):
            await again.open()
        for client in (producer, again, dead_letters):
            await client.close()
        await consumer.stop()
        async with asyncio.timeout(10):
            while len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110 aiokafka's own, which nobody can wait for
                await asyncio.sleep(0.05)
    finally:
        await asyncio.to_thread(dev_stack.up, ["kafka"])
    await dead_letters.put(LETTER)
    await dead_letters.close()
