"""The ingress on a real Kafka: first start, dead letters, rebalances, a broker killed under it (R-EVT-3, R-EVT-4)."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from actors.domain.ids import UserId
from actors.ingress.decoding import routes
from actors.ingress.ingress import IngressLimits, keep_ingress
from actors.ingress.metrics import IngressMetrics
from actors.ingress.ports import BrokerUnavailable, DeadLetter, Partition, Record
from cluster.dev.stack import DevStack
from persistence.kafka.connection import KafkaConnection
from persistence.kafka.consumer import KafkaConsumer
from persistence.kafka.dead_letter_producer import DeadLetterProducer, dead_letter_topic
from persistence.kafka.topics import Topic
from tests.memory import MemoryCatalog
from tests.memory.engine import MemoryCalls, MemoryEngine
from tests.memory.faults import Faults
from tests.support.events import installation, purchase, read_messages, send, structured

PURCHASED, INSTALLED, UNINSTALLED = (
    "payment.purchase.completed.v1",
    "download.game.installed.v1",
    "download.game.uninstalled.v1",
)
GAMES = [uuid4() for _ in range(40)]


class Place:
    """Topics and a group of this test alone, and an engine that every process calls."""

    def __init__(self, brokers: str) -> None:
        self.connection = KafkaConnection(brokers=brokers, request_timeout_s=5)
        self.mark = uuid4().hex[:8]
        self.purchases, self.installed, self.uninstalled = (
            Topic(name=f"{self.mark}.{name}") for name in (PURCHASED, INSTALLED, UNINSTALLED)
        )
        self.dead = dead_letter_topic(f"{self.mark}.dead")
        self.engine = MemoryEngine()
        self.calls = MemoryCalls(self.engine, Faults())

    @property
    def topics(self) -> Sequence[Topic]:
        return (self.purchases, self.installed, self.uninstalled)

    def consumer(self, *, create_topics: bool = True) -> KafkaConsumer:
        return KafkaConsumer(
            self.connection, group_id=self.mark, topics=self.topics, create_topics=create_topics, deadline_s=15
        )

    @asynccontextmanager
    async def ingress(self) -> AsyncIterator[IngressMetrics]:
        metrics, stop = IngressMetrics(), asyncio.Event()
        dead_letters = DeadLetterProducer(self.connection, topic=self.dead, create_topics=True)
        running = asyncio.create_task(
            keep_ingress(
                self.consumer,
                calls=self.calls,
                dead_letters=dead_letters,
                products=MemoryCatalog(),
                where=routes(
                    {
                        PURCHASED: self.purchases.name,
                        INSTALLED: self.installed.name,
                        UNINSTALLED: self.uninstalled.name,
                    }
                ),
                stop=stop,
                random=random.Random(1).random,
                metrics=metrics,
                limits=IngressLimits(lag_interval_s=0.2, commit_interval_s=0.1),
            )
        )
        try:
            yield metrics
        finally:
            stop.set()
            await asyncio.wait_for(running, 60)
            await dead_letters.close()

    async def buy(self, user: UUID, products: Sequence[UUID]) -> None:
        await send(
            self.connection.brokers,
            self.purchases.name,
            *((user.bytes, structured(PURCHASED, purchase(user, [product]))) for product in products),
        )

    async def buy_all(self, users: Sequence[UUID], products: Sequence[UUID]) -> None:
        """A product after the other, each by all users."""
        orders = [(user.bytes, structured(PURCHASED, purchase(user, [game]))) for game in products for user in users]
        await send(self.connection.brokers, self.purchases.name, *orders)

    def has(self, user: UUID, products: Sequence[UUID]) -> bool:
        return self.engine.products(UserId(user.bytes)) == {product.bytes for product in products}

    async def unread(self) -> int:
        """By what the group has committed."""
        reader = AIOKafkaConsumer(
            bootstrap_servers=self.connection.brokers, group_id=self.mark, enable_auto_commit=False
        )
        await reader.start()
        try:
            places = [TopicPartition(topic.name, number) for topic in self.topics for number in range(topic.partitions)]
            ends = await reader.end_offsets(places)
            return sum([end - (await reader.committed(place) or 0) for place, end in ends.items()])
        finally:
            await reader.stop()


@pytest.fixture
def place(kafka_brokers: str) -> Place:
    return Place(kafka_brokers)


async def until(condition: Callable[[], bool], limit_s: float = 60) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 another server's doing: there is no event to wait for
            await asyncio.sleep(0.05)


async def test_topics_are_made_at_first_start_and_events_reach_their_users(place: Place) -> None:
    """R-EVT-3, R-LIB-5, R-LIB-6"""
    user = uuid4()
    async with place.ingress() as metrics:
        await until(lambda: metrics.assigned == 12)
        await place.buy(user, GAMES[:3])
        await until(lambda: place.has(user, GAMES[:3]))
        payload = installation(user, GAMES[0], "installed", "2024-03-15T20:00:00Z")
        await send(place.connection.brokers, place.installed.name, (user.bytes, structured(INSTALLED, payload)))
        await until(lambda: metrics.consumed == 4)
    library = place.engine.users[UserId(user.bytes)].library
    assert library is not None
    assert library.items[GAMES[0].bytes].installation_status == "installed"  # type: ignore[index]
    assert await place.unread() == 0


async def test_poison_goes_to_the_dead_letter_topic_as_it_was(place: Place) -> None:
    """R-EVT-4"""
    user = uuid4()
    refused = structured(PURCHASED, {"user_id": "x"}, id="evt-9")
    too_large = b"x" * 1_040_000
    poison = [(b"k1", b"\xff poison"), (b"k2", refused), (b"k3", None), (None, b"keyless"), (b"k5", too_large)]
    async with place.ingress() as metrics:
        await until(lambda: metrics.assigned == 12)
        await send(place.connection.brokers, place.purchases.name, *poison)
        await place.buy(user, GAMES[:1])
        await until(lambda: place.has(user, GAMES[:1]) and metrics.dead_lettered.total() == 5)
        letters = await read_messages(place.connection.brokers, place.dead.name, lambda found: len(found) == 5)
    by_key = {letter.key: letter for letter in letters}
    assert [by_key[key].value for key in (b"k1", b"k2")] == [b"\xff poison", refused]
    assert by_key[b"k3"].value is None
    assert by_key[None].value == b"keyless"
    headers = dict(by_key[b"k2"].headers)
    assert headers["dead-letter-reason"] == b"bad_payload"
    assert headers["dead-letter-event-id"] == b"evt-9"
    assert headers["dead-letter-topic"].decode() == place.purchases.name
    assert {"dead-letter-partition", "dead-letter-offset", "dead-letter-timestamp-ms", "dead-letter-detail"} <= set(
        headers
    )
    large = dict(by_key[b"k5"].headers)
    assert large["dead-letter-reason"] == b"too_large"
    assert (by_key[b"k5"].value, large.get("dead-letter-truncated")) == (too_large, None)
    assert await place.unread() == 0


async def test_a_dead_letter_that_its_topic_cannot_hold_keeps_its_place(place: Place) -> None:
    """R-EVT-4: it must not block its partition."""
    small = Topic(name=place.dead.name, partitions=1, configs={"max.message.bytes": "100000"})
    producer = DeadLetterProducer(place.connection, topic=small, create_topics=True)
    record = Record(
        partition=Partition("t", 3), offset=8, timestamp_ms=1, key=b"k" * 5_000, value=b"v" * 200_000, headers=()
    )
    await producer.put(DeadLetter(record=record, reason="not_json", detail=""))
    await producer.close()
    (letter,) = await read_messages(place.connection.brokers, small.name, lambda found: len(found) == 1)
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (b"k" * 1_024, b"")
    assert headers["dead-letter-truncated"] == b"1"
    assert (headers["dead-letter-partition"], headers["dead-letter-offset"]) == (b"3", b"8")


async def test_ingresses_that_come_and_go_lose_nothing(place: Place) -> None:
    """R-EVT-3: rebalances in the middle of the flow."""
    users = [uuid4() for _ in range(30)]
    async with place.ingress() as metrics:
        await until(lambda: metrics.assigned == 12)
        await place.buy_all(users[:10], GAMES[:10])
        async with place.ingress() as second:
            await place.buy_all(users[10:20], GAMES[:10])
            await until(lambda: second.assigned == metrics.assigned == 6)
            await place.buy_all(users[:20], GAMES[10:])
            await until(lambda: all(place.has(user, GAMES) for user in users[:20]))
            assert second.consumed > 0
        await place.buy_all(users[20:], GAMES)
        await until(lambda: all(place.has(user, GAMES) for user in users))
    assert await place.unread() == 0


async def test_a_killed_broker_that_comes_back_costs_nothing_but_time(place: Place, dev_stack: DevStack) -> None:
    """R-EVT-3: it comes back by itself, no offset is skipped."""
    users = [uuid4() for _ in range(4)]
    async with place.ingress() as metrics:
        await until(lambda: metrics.assigned == 12)
        place.calls.gate.clear()
        for user in users[:2]:
            await place.buy(user, GAMES)
        await until(lambda: place.calls.outstanding.total() == 2)
        dev_stack.kafka.kill()
        place.calls.gate.set()
        await until(lambda: all(place.has(user, GAMES) for user in users[:2]))
        await asyncio.to_thread(dev_stack.up, ["kafka"])
        for user in users[2:]:
            await place.buy(user, GAMES)
        await until(lambda: all(place.has(user, GAMES) for user in users), limit_s=120)
        assert metrics.dead_lettered.total() == 0
    assert await place.unread() == 0


async def test_without_permission_to_create_topics_they_are_waited_for(place: Place) -> None:
    """R-EVT-6"""
    consumer = place.consumer(create_topics=False)

    class Nobody:
        async def revoked(self, partitions: object) -> None: ...

        async def assigned(self, partitions: object) -> None: ...

    with pytest.raises(BrokerUnavailable):
        await consumer.start(Nobody())
    await consumer.stop()
