"""The relay between a real Postgres and a real Kafka: order, duplicates, two relays, servers killed (R-EVT-2)."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest
from cloudevents.core.v1.event import CloudEvent

from actors.domain.events import SessionEnded
from actors.domain.ids import Micros, ProductId, Seq, SessionId, UserId, shard_of
from actors.domain.publishing import published
from actors.ports import OutboxRow, StoreUnavailable
from actors.relay.cloudevent import encode
from actors.relay.metrics import RelayMetrics
from actors.relay.ports import Message, PublishFailed
from actors.relay.relay import OutboxRelay, RelayLimits
from cluster.dev.stack import DevStack
from persistence.kafka.connection import KafkaConnection
from persistence.kafka.topics import Topic
from persistence.kafka.transactional_producer import TransactionalProducer
from persistence.postgres.codecs import use_domain_types
from persistence.postgres.migrate import migrate
from persistence.postgres.outbox_queue import PostgresOutboxQueue
from tests.support.events import read_events, read_messages

USERS = [UserId(number.to_bytes(16, "big")) for number in range(8)]


class CrashingQueue(PostgresOutboxQueue):
    """Its process dies between Kafka's commit and the delete."""

    async def delete(self, rows: Sequence[OutboxRow]) -> None:
        raise ProcessDied


class ProcessDied(Exception):
    pass


class Place:
    """An outbox, a topic and a transactional id of this test alone."""

    def __init__(self, dsn: str, brokers: str) -> None:
        self.dsn = dsn
        self.connection = KafkaConnection(brokers=brokers, request_timeout_s=5)
        self.mark = uuid4().hex[:8]
        self.topic = Topic(name=f"{self.mark}.library.events.v1")
        self._dice = random.Random(7)
        self._written: dict[UserId, int] = defaultdict(int)

    async def sql(self) -> asyncpg.Connection:
        connection = await asyncpg.connect(self.dsn)
        await use_domain_types(connection)
        return connection

    async def write(self, count: int) -> None:
        """As a flush does; a user's events carry 1, 2, 3... as their total, so that order can be seen."""
        rows = []
        for _ in range(count):
            user = self._dice.choice(USERS)
            number = self._written[user] = self._written[user] + 1
            (event,) = published(
                user,
                SessionEnded(SessionId(uuid4().bytes), ProductId(uuid4().bytes), Micros(number), 1, "client", number),
            )
            seq = Seq(sum(self._written.values()))
            rows.append((shard_of(user), 1, seq, 0, user, encode(event, user)))
        connection = await self.sql()
        await connection.executemany(
            "insert into outbox (shard_id, term, seq, n, user_id, body) values ($1, $2, $3, $4, $5, $6)", rows
        )
        await connection.close()

    async def waiting(self) -> int:
        connection = await self.sql()
        count: int = await connection.fetchval("select count(*) from outbox")
        await connection.close()
        return count

    def producer(self) -> TransactionalProducer:
        return TransactionalProducer(
            self.connection, topic=self.topic, transactional_id=self.mark, create_topics=True, deadline_s=5
        )

    @asynccontextmanager
    async def relay(self, queue: PostgresOutboxQueue | None = None) -> AsyncIterator[RelayMetrics]:
        metrics = RelayMetrics()
        relay = OutboxRelay(
            queue or PostgresOutboxQueue(self.dsn),
            self.producer,
            metrics=metrics,
            random=random.random,
            limits=RelayLimits(batch_rows=50, standby_s=0.1),
        )
        running = asyncio.create_task(relay.run())
        try:
            yield metrics
        finally:
            relay.stop()
            await asyncio.wait_for(asyncio.gather(running, return_exceptions=True), 60)

    async def check(self) -> int:
        """Everything is there, in order per user but for repetitions of the same event. How many repetitions."""
        total = sum(self._written.values())
        events = await read_events(
            self.connection.brokers, self.topic.name, lambda found: len(ids(found)) == total, timeout_s=60
        )
        order: dict[str, list[int]] = defaultdict(list)
        seen = set()
        for event in events:
            if event.get_id() not in seen:
                seen.add(event.get_id())
                data = event.get_data()
                assert isinstance(data, dict)
                order[data["user_id"]].append(data["total_playtime_seconds"])
        assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in order.values())
        return len(events) - total


def ids(events: Sequence[CloudEvent]) -> set[str]:
    return {event.get_id() for event in events}


async def until(condition: Callable[[], bool | Awaitable[bool]], limit_s: float = 60) -> None:
    async with asyncio.timeout(limit_s):
        while True:
            met = condition()
            if met if isinstance(met, bool) else await met:
                return
            await asyncio.sleep(0.05)


@pytest.fixture
async def place(postgres_dsn: str, kafka_brokers: str) -> Place:
    await migrate(postgres_dsn)
    return Place(postgres_dsn, kafka_brokers)


async def test_the_outbox_reaches_the_topic_in_order_and_is_empty_then(place: Place) -> None:
    """R-EVT-1, R-EVT-2"""
    await place.write(200)
    async with place.relay() as metrics:
        await until(lambda: nothing_waits(place))
        await place.write(120)
        await until(lambda: nothing_waits(place))
    assert metrics.published == 320
    assert await place.check() == 0


async def test_a_crash_between_kafkas_commit_and_the_delete_repeats_the_same_events(place: Place) -> None:
    """R-EVT-2: duplicates only with the same CloudEvent id."""
    await place.write(80)
    async with place.relay(CrashingQueue(place.dsn)) as crashed:
        await until(lambda: crashed.published == 50)
    assert await place.waiting() == 80
    async with place.relay():
        await until(lambda: nothing_waits(place))
    assert await place.check() == 50


async def test_a_killed_broker_holds_the_events_back_and_loses_none(place: Place, dev_stack: DevStack) -> None:
    """R-EVT-2, ARCHITECTURE.md: the outbox grows and drains in order afterwards."""
    async with place.relay() as metrics:
        await place.write(100)
        await until(lambda: nothing_waits(place))
        dev_stack.kafka.kill()
        await place.write(100)
        await until(lambda: metrics.failures > 0)
        assert await place.waiting() == 100
        await asyncio.to_thread(dev_stack.up, ["kafka"])
        await place.write(100)
        await until(lambda: nothing_waits(place), limit_s=120)
    await place.check()


async def test_a_relay_whose_session_is_ended_gives_way_to_the_next(place: Place) -> None:
    """R-EVT-2: single by advisory lock."""
    async with place.relay() as first:
        await until(lambda: first.leading == 1)
        async with place.relay() as second:
            await place.write(100)
            connection = await place.sql()
            await connection.fetch(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and classid = 3 and granted"
            )
            await connection.close()
            await until(lambda: nothing_waits(place))
            await place.write(50)
            await until(lambda: nothing_waits(place))
            assert first.leading + second.leading == 1
    await place.check()


async def test_an_older_producer_is_fenced(place: Place) -> None:
    """R-EVT-2: what a former relay has under way is rolled back, and nothing more of it gets through."""
    old, new = place.producer(), place.producer()
    await old.open()
    await old.publish([Message(key=b"k", value=b"1")])
    await new.open()
    with pytest.raises(PublishFailed):
        await old.publish([Message(key=b"k", value=b"never")])
    await new.publish([Message(key=b"k", value=b"2")])
    await old.close()
    await new.close()
    found = await read_messages(place.connection.brokers, place.topic.name, lambda found: len(found) == 2)
    assert [message.value for message in found] == [b"1", b"2"]


async def test_a_postgres_that_is_away_is_a_store_unavailable() -> None:
    queue = PostgresOutboxQueue("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(StoreUnavailable):
        await queue.acquire()
    await queue.release()


async def nothing_waits(place: Place) -> bool:
    return await place.waiting() == 0
