"""A membership in a consumer group (the port ``actors.ingress.ports.Consumer``).

Offsets are committed by the ingress alone. A group without offsets, or whose offsets are older than the log, begins at
the oldest record: reading something again is harmless, skipping is not. Records of rolled-back transactions of others
are not delivered.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError

from actors.ingress.ports import BrokerUnavailable, Partition, Rebalance, Record
from persistence.kafka.closing import close_consumer
from persistence.kafka.connection import KAFKA_ERRORS, KafkaConnection
from persistence.kafka.topics import Topic, ensure_topics


class KafkaConsumer:
    """``create_topics``: create what is missing, for development; otherwise starting fails until they exist."""

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        group_id: str,
        topics: Sequence[Topic],
        create_topics: bool = False,
        max_poll_records: int = 500,
        session_timeout_s: float = 6.0,
        rebalance_timeout_s: float = 15.0,
        deadline_s: float = 30.0,
    ) -> None:
        self._connection = connection
        self._group_id = group_id
        self._topics = topics
        self._create_topics = create_topics
        self._max_poll_records = max_poll_records
        self._session_timeout_s = session_timeout_s
        self._rebalance_timeout_s = rebalance_timeout_s
        self._deadline_s = deadline_s
        self._consumer: AIOKafkaConsumer | None = None
        self._assignment = _Assignment()

    async def start(self, rebalance: Rebalance) -> None:
        self._assignment.rebalance = rebalance
        async with _answers_within(self._deadline_s):
            await ensure_topics(self._connection, self._topics, create=self._create_topics)
            self._consumer = AIOKafkaConsumer(
                **self._connection.arguments(),
                group_id=self._group_id,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                session_timeout_ms=int(self._session_timeout_s * 1000),
                heartbeat_interval_ms=int(self._session_timeout_s * 1000 / 4),
                rebalance_timeout_ms=int(self._rebalance_timeout_s * 1000),
            )
            self._consumer.subscribe([topic.name for topic in self._topics], listener=self._assignment)
            await self._consumer.start()

    async def poll(self, timeout_s: float) -> Sequence[Record]:
        async with _answers_within(timeout_s + self._deadline_s):
            generation, records = await self._fetch(timeout_s)
        # A rebalance may have come between the fetch and here; then they are delivered again, to whom they belong.
        return records if generation == self._assignment.generation else ()

    async def _fetch(self, timeout_s: float) -> tuple[int, list[Record]]:
        batches = await self._running().getmany(timeout_ms=int(timeout_s * 1000), max_records=self._max_poll_records)
        return self._assignment.generation, [_record(raw) for batch in batches.values() for raw in batch]

    def pause(self, partitions: Collection[Partition]) -> None:
        self._running().pause(*self._assigned(partitions))

    def resume(self, partitions: Collection[Partition]) -> None:
        self._running().resume(*self._assigned(partitions))

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        async with _answers_within(self._deadline_s):
            await self._running().commit({TopicPartition(*partition): offset for partition, offset in offsets.items()})

    async def behind(self) -> int:
        consumer = self._running()
        async with _answers_within(self._deadline_s):
            ends = await consumer.end_offsets(consumer.assignment())
            return sum([max(0, end - await consumer.position(partition)) for partition, end in ends.items()])

    async def stop(self) -> None:
        if self._consumer is not None:
            await close_consumer(self._consumer)

    def _running(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise BrokerUnavailable("the consumer was not started")
        return self._consumer

    def _assigned(self, partitions: Iterable[Partition]) -> list[TopicPartition]:
        """A pause or resume may come a moment after a rebalance took the partition away."""
        current = self._running().assignment()
        return [known for partition in partitions if (known := TopicPartition(*partition)) in current]


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Counts generations: what was fetched in one is worth nothing in the next."""

    def __init__(self) -> None:
        self.rebalance: Rebalance | None = None
        self.generation = 0

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self.generation += 1
        if self.rebalance is not None:
            await self.rebalance.revoked([Partition(tp.topic, tp.partition) for tp in revoked])

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        if self.rebalance is not None:
            await self.rebalance.assigned([Partition(tp.topic, tp.partition) for tp in assigned])


@asynccontextmanager
async def _answers_within(deadline_s: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(deadline_s):
            yield
    except (*KAFKA_ERRORS, IllegalStateError) as error:
        raise BrokerUnavailable(repr(error)) from error


def _record(raw: Any) -> Record:
    return Record(
        partition=Partition(raw.topic, raw.partition),
        offset=raw.offset,
        timestamp_ms=raw.timestamp,
        key=raw.key,
        value=raw.value,
        headers=tuple((name, text or b"") for name, text in raw.headers),
    )
