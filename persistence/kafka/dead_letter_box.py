"""The dead letters as operators see them: read, replayed, dropped (R-EVT-4).

    put by the ingress ──▶ open ── replay: the message goes to its topic again ──▶ replayed
                             └──── drop ───────────────────────────────────────▶ dropped

A topic only grows, so what became of a letter is a message of its own behind it, with the header
``dead-letter-resolved``. Letters are told apart by where their message came from: the ingress may have put one twice.

A replayed message is the original one, CloudEvent id included; the engine applies it once, whether it was replayed
twice or had been applied before. If it fails again it comes back as a new letter that counts its replays.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from msgspec import Struct
from msgspec.structs import replace

from actors.ingress.ports import BrokerUnavailable
from persistence.kafka.closing import close_consumer, close_producer
from persistence.kafka.connection import KAFKA_ERRORS, KafkaConnection
from persistence.kafka.dead_letter_producer import MAX_MESSAGE_BYTES

PREFIX = "dead-letter-"
RESOLVED = f"{PREFIX}resolved"
REPLAYS = f"{PREFIX}replays"
Headers = Sequence[tuple[str, bytes]]
Outcome = Literal["replayed", "dropped"]


class Origin(NamedTuple):
    """Where a message was before it became a dead letter."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


class Letter(Struct, frozen=True, kw_only=True):
    """What is known of a letter without its message. ``put_ms`` is when it was put, milliseconds since 1970."""

    id: str
    place: tuple[int, int]
    origin: Origin
    put_ms: int
    reason: str
    detail: str
    event_id: str | None
    key: bytes | None
    size_bytes: int
    is_truncated: bool
    replays: int
    outcome: Outcome | None = None


class Message(Struct, frozen=True, kw_only=True):
    """The message of a letter as it was in its own topic."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class OriginalGone(Exception):
    """The letter holds no message, and the original is not in its topic any more."""

    def __init__(self, letter: Letter) -> None:
        super().__init__(f"{letter.id}: was too large to be kept, and its original is not in Kafka any more")
        self.letter = letter


class DeadLetterBox:
    """Every method raises ``BrokerUnavailable``; ``deadline_s`` is for each answer of Kafka."""

    def __init__(self, connection: KafkaConnection, topic: str, *, deadline_s: float = 20.0) -> None:
        self._connection = connection
        self._topic = topic
        self._deadline_s = deadline_s

    async def letters(self) -> list[Letter]:
        """All that the topic holds, the oldest first; memory for their headers alone."""
        found: dict[Origin, Letter] = {}
        outcomes: dict[Origin, Outcome] = {}
        async with self._reading() as consumer:
            async for raw in self._whole_topic(consumer):
                headers = _texts(raw.headers)
                origin = _origin(headers)
                if origin is None:
                    continue
                if RESOLVED in headers:
                    outcomes[origin] = "dropped" if headers[RESOLVED] == "dropped" else "replayed"
                else:
                    found.setdefault(origin, _letter(raw, headers, origin))
        letters = [replace(letter, outcome=outcomes.get(origin)) for origin, letter in found.items()]
        return sorted(letters, key=lambda letter: (letter.put_ms, letter.place))

    async def message(self, letter: Letter) -> Message:
        """``OriginalGone`` for one that was too large to be kept."""
        async with self._reading() as consumer:
            return await self._message(consumer, letter)

    async def replay(self, letter: Letter) -> None:
        """Kafka has acknowledged it when this returns. ``OriginalGone``. To replay a letter twice does no harm."""
        message = await self.message(letter)
        replays = (REPLAYS, str(letter.replays + 1).encode())
        value = b"" if message.key is None and message.value is None else message.value
        async with self._writing() as producer:
            async with _answered(self._deadline_s):
                await producer.send_and_wait(
                    letter.origin.topic, value, key=message.key, headers=[*message.headers, replays]
                )
            await self._resolve(producer, letter, "replayed")

    async def drop(self, letters: Iterable[Letter]) -> None:
        """They are not listed any more; their messages stay until the topic's retention ends."""
        async with self._writing() as producer:
            for letter in letters:
                await self._resolve(producer, letter, "dropped")

    async def _resolve(self, producer: AIOKafkaProducer, letter: Letter, outcome: Outcome) -> None:
        origin = letter.origin
        texts = {
            "topic": origin.topic,
            "partition": str(origin.partition),
            "offset": str(origin.offset),
            "timestamp-ms": str(origin.timestamp_ms),
            "resolved": outcome,
        }
        headers = [(f"{PREFIX}{name}", text.encode()) for name, text in texts.items()]
        partition = letter.place[0]
        async with _answered(self._deadline_s):
            await producer.send_and_wait(self._topic, b"", key=letter.key, headers=headers, partition=partition)

    async def _message(self, consumer: AIOKafkaConsumer, letter: Letter) -> Message:
        if letter.is_truncated:
            origin = letter.origin
            raw = await self._at(consumer, TopicPartition(origin.topic, origin.partition), origin.offset)
            if raw is None or raw.timestamp != origin.timestamp_ms:
                raise OriginalGone(letter)
        else:
            raw = await self._at(consumer, TopicPartition(self._topic, letter.place[0]), letter.place[1])
            if raw is None:
                raise OriginalGone(letter)
        kept = tuple((name, text or b"") for name, text in raw.headers if not name.startswith(PREFIX))
        return Message(key=raw.key, value=raw.value, headers=kept)

    async def _at(self, consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> Any:
        """The record there, None if it is gone."""
        async with _answered(self._deadline_s):
            consumer.assign([partition])
            beginning = (await consumer.beginning_offsets([partition]))[partition]
            end = (await consumer.end_offsets([partition]))[partition]
            if not beginning <= offset < end:
                return None
            consumer.seek(partition, offset)
            raw = await consumer.getone(partition)
            return raw if raw.offset == offset else None

    async def _whole_topic(self, consumer: AIOKafkaConsumer) -> AsyncIterator[Any]:
        """What is there now; what is put meanwhile is left for the next look. Each piece has the deadline anew: a topic
        may be large, but a broker that brings nothing of it is away."""
        async with _answered(self._deadline_s):
            if self._topic not in await consumer.topics():
                return
            await consumer._client.set_topics([self._topic])
            numbers: Collection[int] = consumer.partitions_for_topic(self._topic) or ()
            partitions = [TopicPartition(self._topic, number) for number in numbers]
            consumer.assign(partitions)
            ends: Mapping[TopicPartition, int] = await consumer.end_offsets(partitions)
        left = set(partitions)
        while left:
            batches: Mapping[TopicPartition, Sequence[Any]] = {}
            async with _answered(self._deadline_s):
                while left and not batches:
                    left -= {place for place in left if await consumer.position(place) >= ends[place]}
                    batches = await consumer.getmany(*left, timeout_ms=500) if left else {}
            for batch in batches.values():
                for raw in batch:
                    yield raw

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            **self._connection.arguments(), isolation_level="read_committed", auto_offset_reset="earliest"
        )
        try:
            async with _answered(self._deadline_s):
                await consumer.start()
            yield consumer
        finally:
            await close_consumer(consumer)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(
            **self._connection.arguments(), enable_idempotence=True, acks="all", max_request_size=MAX_MESSAGE_BYTES
        )
        try:
            async with _answered(self._deadline_s):
                await producer.start()
            yield producer
        finally:
            await close_producer(producer)


def _letter(raw: Any, headers: Mapping[str, str], origin: Origin) -> Letter:
    replays = headers.get(REPLAYS, "0")
    return Letter(
        id=f"{raw.partition}-{raw.offset}",
        place=(raw.partition, raw.offset),
        origin=origin,
        put_ms=raw.timestamp,
        reason=headers.get(f"{PREFIX}reason", "unknown"),
        detail=headers.get(f"{PREFIX}detail", ""),
        event_id=headers.get(f"{PREFIX}event-id"),
        key=raw.key,
        size_bytes=len(raw.value or b""),
        is_truncated=headers.get(f"{PREFIX}truncated") == "1",
        replays=int(replays) if replays.isdecimal() else 0,
    )


def _texts(headers: Headers) -> dict[str, str]:
    """Of our own headers; of one that the original had too, ours stands behind it."""
    return {name: (text or b"").decode("utf-8", "replace") for name, text in headers if name.startswith(PREFIX)}


def _origin(headers: Mapping[str, str]) -> Origin | None:
    try:
        numbers = [int(headers[f"{PREFIX}{name}"]) for name in ("partition", "offset", "timestamp-ms")]
        return Origin(headers[f"{PREFIX}topic"], *numbers)
    except (KeyError, ValueError):
        return None


@asynccontextmanager
async def _answered(deadline_s: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(deadline_s):
            yield
    except KAFKA_ERRORS as error:
        raise BrokerUnavailable(repr(error)) from error
