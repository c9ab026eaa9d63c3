"""Kafka in memory: a log of partitions, consumer groups, transactions, for tests and the simulator.

``MemoryKafka`` is the world that outlives processes; the clients belong to one process each, and die with its
``Faults``.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from actors.ingress.ports import BrokerUnavailable, DeadLetter, Partition, Rebalance, Record
from actors.relay.ports import Message, PublishFailed
from tests.memory.faults import Faults


@dataclass
class MemoryKafka:
    partitions: dict[Partition, list[Record]] = field(default_factory=dict)
    offsets: dict[tuple[str, Partition], int] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def add_topic(self, name: str, partitions: int = 1) -> None:
        for number in range(partitions):
            self.partitions.setdefault(Partition(name, number), [])

    def append(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()
    ) -> Record:
        """Into the partition that the key says, as a real producer would."""
        count = sum(partition.topic == topic for partition in self.partitions)
        partition = Partition(topic, sha256(key or b"").digest()[0] % count)
        log = self.partitions[partition]
        record = Record(
            partition=partition,
            offset=len(log),
            timestamp_ms=1_700_000_000_000 + len(log),
            key=key,
            value=value,
            headers=tuple(headers),
        )
        log.append(record)
        self.arrived.set()
        return record

    def records(self, topic: str) -> list[Record]:
        """Of all partitions, each in order."""
        return [record for partition, log in self.partitions.items() if partition.topic == topic for record in log]

    def unread(self, group: str, topics: Collection[str]) -> int:
        return sum(
            len(log) - self.offsets.get((group, partition), 0)
            for partition, log in self.partitions.items()
            if partition.topic in topics
        )


class MemoryConsumer:
    """Has all partitions of its topics; ``rebalance`` takes some away and gives others."""

    def __init__(
        self, kafka: MemoryKafka, faults: Faults, *, group: str, topics: Sequence[str], batch: int = 100
    ) -> None:
        self._kafka = kafka
        self._faults = faults
        self._group = group
        self._topics = topics
        self._batch = batch
        self._positions: dict[Partition, int] = {}
        self._listener: Rebalance | None = None
        self._rebalancing = asyncio.Lock()
        self.paused: set[Partition] = set()
        self.stopped = False

    async def start(self, rebalance: Rebalance) -> None:
        await self._faults.step("consumer.start")
        self._listener = rebalance
        await self.rebalance([partition for partition in self._kafka.partitions if partition.topic in self._topics])

    async def rebalance(self, partitions: Collection[Partition]) -> None:
        """What the group's coordinator does: revoke all, assign these, from their committed offsets on."""
        assert self._listener is not None
        async with self._rebalancing:
            if self._positions:
                await self._listener.revoked(list(self._positions))
            self.paused.clear()
            self._positions = {tp: self._kafka.offsets.get((self._group, tp), 0) for tp in partitions}
            await self._listener.assigned(partitions)

    async def poll(self, timeout_s: float) -> Sequence[Record]:
        await self._faults.step("consumer.poll")
        async with self._rebalancing:
            records = self._take()
        if not records:
            self._kafka.arrived.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._kafka.arrived.wait()
            except TimeoutError:
                return ()
        return records

    def _take(self) -> list[Record]:
        taken: list[Record] = []
        for partition in self._positions:
            if partition not in self.paused:
                position = self._positions[partition]
                found = self._kafka.partitions[partition][position : position + self._batch - len(taken)]
                self._positions[partition] += len(found)
                taken += found
        return taken

    def pause(self, partitions: Collection[Partition]) -> None:
        self.paused.update(partitions)

    def resume(self, partitions: Collection[Partition]) -> None:
        self.paused.difference_update(partitions)
        self._kafka.arrived.set()

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        await self._faults.step("consumer.commit")
        if not set(offsets) <= set(self._positions):
            raise BrokerUnavailable("not assigned")
        self._kafka.offsets.update({(self._group, partition): offset for partition, offset in offsets.items()})
        await self._faults.step("consumer.committed")

    async def behind(self) -> int:
        await self._faults.step("consumer.behind")
        return sum(len(self._kafka.partitions[tp]) - position for tp, position in self._positions.items())

    async def stop(self) -> None:
        self.stopped = True


class MemoryDeadLetters:
    """Puts into a topic of the same Kafka; ``letters`` is what this process put."""

    def __init__(self, kafka: MemoryKafka, faults: Faults, topic: str) -> None:
        self._kafka = kafka
        self._faults = faults
        self._topic = topic
        self.letters: list[DeadLetter] = []

    async def put(self, letter: DeadLetter) -> None:
        await self._faults.step("dead_letters.put")
        record = letter.record
        place = f"{record.partition.topic}/{record.partition.number}/{record.offset}"
        self._kafka.append(
            self._topic, record.key, record.value, [("reason", letter.reason.encode()), ("from", place.encode())]
        )
        self.letters.append(letter)
        await self._faults.step("dead_letters.acknowledged")


class MemoryProducer:
    """Transactions under one id: opening fences the one before."""

    def __init__(self, kafka: MemoryKafka, faults: Faults, *, topic: str, transactional_id: str = "relay") -> None:
        self._kafka = kafka
        self._faults = faults
        self._topic = topic
        self._transactional_id = transactional_id
        self._epoch = -1

    async def open(self) -> None:
        await self._faults.step("producer.open")
        self._epoch = self._kafka.epochs.get(self._transactional_id, 0) + 1
        self._kafka.epochs[self._transactional_id] = self._epoch

    async def publish(self, messages: Sequence[Message]) -> None:
        await self._faults.step("producer.publish")
        if self._kafka.epochs.get(self._transactional_id) != self._epoch:
            raise PublishFailed("fenced")
        for message in messages:
            self._kafka.append(self._topic, message.key, message.value, message.headers)
        await self._faults.step("producer.published")

    async def close(self) -> None:
        self._epoch = -1
