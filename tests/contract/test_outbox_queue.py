"""One suite for the outbox queue in memory and in Postgres (the port ``actors.relay.ports.OutboxQueue``)."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator

import asyncpg
import pytest

from actors.domain.ids import Seq, ShardId, Term, UserId
from actors.ports import OutboxRow, StoreUnavailable
from actors.relay.ports import OutboxQueue
from persistence.postgres.codecs import use_domain_types
from persistence.postgres.migrate import migrate
from persistence.postgres.outbox_queue import PostgresOutboxQueue
from tests.memory.faults import Faults
from tests.memory.outbox import MemoryOutbox, MemoryOutboxQueue


class World(ABC):
    """An outbox, and the processes that open queues on it."""

    @abstractmethod
    async def add(self, rows: Iterable[OutboxRow]) -> None: ...

    @abstractmethod
    def open(self) -> OutboxQueue: ...

    @abstractmethod
    async def kill(self, queue: OutboxQueue) -> None:
        """Its process is gone, or its session."""


class InMemory(World):
    def __init__(self) -> None:
        self._outbox = MemoryOutbox()
        self._faults: dict[int, Faults] = {}

    async def add(self, rows: Iterable[OutboxRow]) -> None:
        self._outbox.add(rows)

    def open(self) -> OutboxQueue:
        faults = Faults()
        queue = MemoryOutboxQueue(self._outbox, faults)
        self._faults[id(queue)] = faults
        return queue

    async def kill(self, queue: OutboxQueue) -> None:
        self._outbox.holder = None


class InPostgres(World):
    def __init__(self, dsn: str, connection: asyncpg.Connection) -> None:
        self._dsn = dsn
        self._connection = connection

    async def add(self, rows: Iterable[OutboxRow]) -> None:
        await self._connection.executemany(
            "insert into outbox (shard_id, term, seq, n, user_id, body) values ($1, $2, $3, $4, $5, $6)",
            [(row.shard_id, row.term, row.seq, row.n, row.user_id, row.body) for row in rows],
        )

    def open(self) -> OutboxQueue:
        return PostgresOutboxQueue(self._dsn)

    async def kill(self, queue: OutboxQueue) -> None:
        await self._connection.fetch(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where application_name = 'library-relay' and datname = current_database()"
        )


@pytest.fixture(params=["memory", "postgres"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        yield InMemory()
        return
    dsn = request.getfixturevalue("postgres_dsn")
    await migrate(dsn)
    connection = await asyncpg.connect(dsn)
    await use_domain_types(connection)
    try:
        yield InPostgres(dsn, connection)
    finally:
        await connection.close()


def row(shard: int, term: int, seq: int, n: int) -> OutboxRow:
    user = UserId(shard.to_bytes(16, "big"))
    return OutboxRow(ShardId(shard), Term(term), Seq(seq), n, user, b"%d/%d/%d/%d" % (shard, term, seq, n))


def shuffled() -> Iterator[OutboxRow]:
    """Out of order on purpose; big numbers, an empty body's neighbourhood, both ends of the shards."""
    for shard in (255, 0, 7):
        for term, seq in ((2, 5), (1, 2**40), (1, 30)):
            for n in (1, 0):
                yield row(shard, term, seq, n)


def in_order(rows: Iterable[OutboxRow]) -> list[OutboxRow]:
    return sorted(rows, key=lambda one: (one.shard_id, one.term, one.seq, one.n))


async def test_rows_come_by_shard_term_seq_and_n(world: World) -> None:
    """R-EVT-2"""
    await world.add(shuffled())
    queue = world.open()
    assert await queue.acquire()
    page = await queue.read(ShardId(0), 100)
    assert list(page.rows) == in_order(shuffled())
    assert page.oldest_age_s > 0
    await queue.release()


async def test_a_page_begins_at_a_shard_and_is_bounded(world: World) -> None:
    """Promise 6."""
    await world.add(shuffled())
    queue = world.open()
    await queue.acquire()
    assert list((await queue.read(ShardId(0), 4)).rows) == in_order(shuffled())[:4]
    assert list((await queue.read(ShardId(1), 4)).rows) == in_order(shuffled())[6:10]
    assert list((await queue.read(ShardId(256), 4)).rows) == []
    await queue.release()


async def test_exactly_the_rows_given_are_deleted(world: World) -> None:
    """R-EVT-2: rows that came in between stay."""
    await world.add(shuffled())
    queue = world.open()
    await queue.acquire()
    first = (await queue.read(ShardId(0), 3)).rows
    between = row(0, 1, 1, 0)
    await world.add([between])
    await queue.delete(first)
    await queue.delete(first)
    assert list((await queue.read(ShardId(0), 100)).rows) == [between, *in_order(shuffled())[3:]]
    await queue.release()


async def test_an_empty_outbox_has_no_age(world: World) -> None:
    queue = world.open()
    await queue.acquire()
    page = await queue.read(ShardId(0), 10)
    assert (list(page.rows), page.oldest_age_s) == ([], 0.0)
    await queue.release()


async def test_only_one_holds_the_lock_until_it_lets_go(world: World) -> None:
    """ARCHITECTURE.md: single by advisory lock."""
    first, second = world.open(), world.open()
    assert await first.acquire()
    assert await first.acquire()
    assert not await second.acquire()
    await first.release()
    assert await second.acquire()
    assert not await first.acquire()
    await second.release()
    await first.release()


async def test_without_the_lock_nothing_is_read_or_deleted(world: World) -> None:
    await world.add([row(1, 1, 1, 0)])
    first, second = world.open(), world.open()
    await first.acquire()
    await second.acquire()
    for call in (lambda: second.read(ShardId(0), 10), lambda: second.delete([row(1, 1, 1, 0)])):
        with pytest.raises(StoreUnavailable):
            await call()
    assert len((await first.read(ShardId(0), 10)).rows) == 1
    await first.release()
    await second.release()


async def test_a_lost_session_loses_the_lock(world: World) -> None:
    """R-EVT-2: the former relay finds out by an error, the next one gets the lock."""
    await world.add([row(1, 1, 1, 0)])
    first, second = world.open(), world.open()
    await first.acquire()
    await world.kill(first)
    assert await second.acquire()
    with pytest.raises(StoreUnavailable):
        await first.delete([row(1, 1, 1, 0)])
    assert len((await second.read(ShardId(0), 10)).rows) == 1
    await first.release()
    assert not await first.acquire()
    await second.release()
    assert await first.acquire()
    await first.release()
