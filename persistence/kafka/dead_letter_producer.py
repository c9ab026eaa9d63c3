"""The dead-letter topic (the port ``actors.ingress.ports.DeadLetters``; R-EVT-4).

A dead letter is the message as it was: key, value and headers, with these added:

| header | holds |
|---|---|
| ``dead-letter-reason`` | one word, as counted by ``actors.ingress.metrics`` |
| ``dead-letter-detail`` | for people |
| ``dead-letter-topic``, ``-partition``, ``-offset``, ``-timestamp-ms`` | where it came from |
| ``dead-letter-event-id`` | its CloudEvent id, if it has a readable one |
| ``dead-letter-truncated`` | ``1`` if it was too large to be kept: the original's place is all there is |
"""

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from actors.ingress.ports import BrokerUnavailable, DeadLetter
from persistence.kafka.closing import close_producer
from persistence.kafka.connection import KAFKA_ERRORS, KafkaConnection
from persistence.kafka.topics import Topic, ensure_topics

MAX_MESSAGE_BYTES = 4_194_304
MAX_KEPT_KEY_BYTES = 1_024


KEPT_MS = 30 * 24 * 3_600 * 1_000


def dead_letter_topic(name: str, *, partitions: int = 1, replication_factor: int = 1) -> Topic:
    """As it is created in development: it takes any message that a topic of Kafka's defaults can hold, and keeps it for
    a month, for operators to look at."""
    configs = {"max.message.bytes": str(MAX_MESSAGE_BYTES), "retention.ms": str(KEPT_MS)}
    return Topic(name=name, partitions=partitions, replication_factor=replication_factor, configs=configs)


class DeadLetterProducer:
    """Opened by the first letter, and again after a failure. Calls may overlap."""

    def __init__(
        self, connection: KafkaConnection, *, topic: Topic, create_topics: bool = False, deadline_s: float = 20.0
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._create_topics = create_topics
        self._deadline_s = deadline_s
        self._producer: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()

    async def put(self, letter: DeadLetter) -> None:
        headers = _headers(letter)
        record = letter.record
        try:
            await self._send(record.key, record.value, [*record.headers, *headers])
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            key = None if record.key is None else record.key[:MAX_KEPT_KEY_BYTES]
            await self._send(key, b"", [*headers, ("dead-letter-truncated", b"1")])

    async def _send(self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        """Too large a message raises as such; everything else is ``BrokerUnavailable``."""
        producer = None
        try:
            async with asyncio.timeout(self._deadline_s):
                producer = await self._open()
                # aiokafka refuses a message that has neither key nor value.
                value = b"" if key is None and value is None else value
                await producer.send_and_wait(self._topic.name, value, key=key, headers=headers)
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            raise
        except KAFKA_ERRORS as error:
            await self._discard(producer)
            raise BrokerUnavailable(repr(error)) from error

    async def _open(self) -> AIOKafkaProducer:
        async with self._opening:
            if self._producer is None:
                await ensure_topics(self._connection, [self._topic], create=self._create_topics)
                producer = AIOKafkaProducer(
                    **self._connection.arguments(),
                    enable_idempotence=True,
                    acks="all",
                    max_request_size=MAX_MESSAGE_BYTES,
                )
                try:
                    await producer.start()
                except BaseException:
                    await close_producer(producer)
                    raise
                self._producer = producer
            return self._producer

    async def _discard(self, producer: AIOKafkaProducer | None) -> None:
        """Once for all letters that met the same broken producer."""
        if producer is not None and self._producer is producer:
            self._producer = None
            await close_producer(producer)

    async def close(self) -> None:
        """Never raises; letters that are not acknowledged are put again by whoever has their records next."""
        await self._discard(self._producer)


def _headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    record = letter.record
    pairs = [
        ("reason", letter.reason),
        ("detail", letter.detail),
        ("topic", record.partition.topic),
        ("partition", str(record.partition.number)),
        ("offset", str(record.offset)),
        ("timestamp-ms", str(record.timestamp_ms)),
    ]
    if letter.event_id is not None:
        pairs.append(("event-id", letter.event_id))
    return [(f"dead-letter-{name}", text.encode("utf-8", "replace")) for name, text in pairs]
