"""The relay's producer (the port ``actors.relay.ports.Producer``): one Kafka transaction a batch, under a fixed
transactional id, so that opening one fences whoever had it before."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer

from actors.relay.ports import Message, PublishFailed
from persistence.kafka.closing import close_producer, look_at
from persistence.kafka.connection import KAFKA_ERRORS, KafkaConnection
from persistence.kafka.topics import Topic, ensure_topics


class TransactionalProducer:
    """``deadline_s`` is less than the time-out after which Kafka rolls an open transaction back by itself."""

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        topic: Topic,
        transactional_id: str,
        create_topics: bool = False,
        deadline_s: float = 10.0,
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._transactional_id = transactional_id
        self._create_topics = create_topics
        self._deadline_s = deadline_s
        self._producer: AIOKafkaProducer | None = None

    async def open(self) -> None:
        async with _done_within(self._deadline_s):
            await ensure_topics(self._connection, [self._topic], create=self._create_topics)
            self._producer = AIOKafkaProducer(
                **self._connection.arguments(),
                transactional_id=self._transactional_id,
                transaction_timeout_ms=int(self._deadline_s * 2000),
                acks="all",
                max_batch_size=262_144,
            )
            await self._producer.start()

    async def publish(self, messages: Sequence[Message]) -> None:
        producer = self._producer
        if producer is None:
            raise PublishFailed("the producer was not opened")
        async with _done_within(self._deadline_s):
            await producer.begin_transaction()
            sent = []
            for message in messages:
                headers = list(message.headers)
                sent.append(await producer.send(self._topic.name, message.value, key=message.key, headers=headers))
                sent[-1].add_done_callback(look_at)
            # Committing does not tell about a message that Kafka refused: only its own future does.
            await asyncio.gather(*sent)
            await producer.commit_transaction()

    async def close(self) -> None:
        if self._producer is not None:
            await close_producer(self._producer)


@asynccontextmanager
async def _done_within(deadline_s: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(deadline_s):
            yield
    except KAFKA_ERRORS as error:
        raise PublishFailed(repr(error)) from error
