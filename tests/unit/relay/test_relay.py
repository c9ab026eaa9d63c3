"""The relay over outbox and Kafka in memory: order, duplicates, crashes at every await, two relays (R-EVT-2)."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Sequence

import pytest

from actors.domain.ids import Seq, ShardId, Term, UserId, format_id, shard_of
from actors.ports import OutboxRow, StoreUnavailable
from actors.relay.metrics import RelayMetrics
from actors.relay.ports import PublishFailed
from actors.relay.relay import OutboxRelay, RelayLimits
from tests.memory.faults import Crashed, Faults, Plan, crash_at, healthy
from tests.memory.kafka import MemoryKafka, MemoryProducer
from tests.memory.outbox import MemoryOutbox, MemoryOutboxQueue

TOPIC = "library.events.v1"
USERS = [UserId(number.to_bytes(16, "big")) for number in range(12)]
LIMITS = RelayLimits(batch_rows=7, poll_s=0.001, standby_s=0.001, first_retry_s=0.001, max_retry_s=0.001)


def some_rows(count: int = 40) -> list[OutboxRow]:
    """As flushes write them: each user's events under its shard, later terms begin with lower seqs again."""
    dice = random.Random(count)
    rows = []
    for number in range(count):
        user = dice.choice(USERS)
        term = 1 + number * 2 // count
        rows.append(
            OutboxRow(shard_of(user), Term(term), Seq(100 // term + number // 3), number % 3, user, b"%d" % number)
        )
    return rows


class Process:
    """One relay's life."""

    def __init__(self, kafka: MemoryKafka, outbox: MemoryOutbox, plan: Plan = healthy) -> None:
        self.faults = Faults(plan)
        self.metrics = RelayMetrics()
        self.relay = OutboxRelay(
            MemoryOutboxQueue(outbox, self.faults),
            lambda: MemoryProducer(kafka, self.faults, topic=TOPIC),
            metrics=self.metrics,
            random=lambda: 0.5,
            limits=LIMITS,
        )
        self.task = asyncio.create_task(self.relay.run())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition() and not self.task.done():  # noqa: ASYNC110 any step may be the one
                await asyncio.sleep(0)

    async def end(self) -> None:
        self.relay.stop()
        (outcome,) = await asyncio.wait_for(asyncio.gather(self.task, return_exceptions=True), 10)
        assert outcome is None or isinstance(outcome, Crashed)


def a_world(rows: Sequence[OutboxRow]) -> tuple[MemoryKafka, MemoryOutbox]:
    kafka, outbox = MemoryKafka(), MemoryOutbox()
    kafka.add_topic(TOPIC, 4)
    outbox.add(rows)
    return kafka, outbox


def bodies_by_user(kafka: MemoryKafka) -> dict[bytes, list[bytes]]:
    """What a consumer sees that drops what it saw before."""
    seen: dict[bytes, dict[bytes, None]] = defaultdict(dict)
    for record in kafka.records(TOPIC):
        assert record.key is not None
        assert record.value is not None
        seen[record.key].setdefault(record.value)
    return {key: list(values) for key, values in seen.items()}


def expected(rows: Sequence[OutboxRow]) -> dict[bytes, list[bytes]]:
    wanted: dict[bytes, list[bytes]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.shard_id, row.term, row.seq, row.n)):
        wanted[format_id(row.user_id).encode()].append(row.body)
    return dict(wanted)


async def test_every_row_is_published_once_in_the_order_of_its_user_and_then_deleted() -> None:
    """R-EVT-1, R-EVT-2"""
    rows = some_rows()
    kafka, outbox = a_world(rows)
    process = Process(kafka, outbox)
    await process.until(lambda: not outbox.rows)
    await process.end()
    assert bodies_by_user(kafka) == expected(rows)
    assert len(kafka.records(TOPIC)) == len(rows) == process.metrics.published
    assert kafka.records(TOPIC)[0].headers == (("content-type", b"application/cloudevents+json"),)


async def test_a_crash_at_any_await_loses_nothing_and_keeps_the_order() -> None:
    """R-EVT-2: duplicates are the same message again; among others the crash between Kafka's commit and the delete."""
    rows = some_rows()
    healthy_run = Process(*a_world(rows))
    await healthy_run.until(lambda: healthy_run.metrics.published == len(rows))
    await healthy_run.end()
    doubled = 0
    for step in range(healthy_run.faults.steps):
        kafka, outbox = a_world(rows)
        first = Process(kafka, outbox, crash_at(step))
        await first.until(lambda outbox=outbox: not outbox.rows)  # type: ignore[misc]
        await first.end()
        sent = {record.value for record in kafka.records(TOPIC)}
        assert {row.body for row in rows} == sent | {row.body for row in outbox.rows.values()}, step

        second = Process(kafka, outbox)
        await second.until(lambda outbox=outbox: not outbox.rows)  # type: ignore[misc]
        await second.end()
        assert bodies_by_user(kafka) == expected(rows), step
        doubled += len(kafka.records(TOPIC)) > len(rows)
    assert doubled > 0


@pytest.mark.parametrize("fault", [PublishFailed("away"), StoreUnavailable("away")])
@pytest.mark.parametrize(
    "point", ["queue.acquire", "queue.read", "queue.delete", "queue.deleted", "producer.open", "producer.published"]
)
async def test_kafka_or_postgres_away_for_a_while_costs_nothing_but_time(fault: Exception, point: str) -> None:
    """R-EVT-2: also when it did happen and was not told."""
    rows = some_rows()
    kafka, outbox = a_world(rows)
    away = True
    process = Process(kafka, outbox, lambda _n, what: fault if away and what == point else None)
    await process.until(lambda: process.metrics.failures > 3)
    assert not process.task.done()
    away = False
    await process.until(lambda: not outbox.rows)
    await process.end()
    assert bodies_by_user(kafka) == expected(rows)


async def test_a_second_relay_waits_until_the_first_is_gone() -> None:
    """ARCHITECTURE.md: single by advisory lock."""
    kafka, outbox = a_world([])
    first = Process(kafka, outbox)
    await first.until(lambda: first.metrics.leading == 1)
    second = Process(kafka, outbox)
    await second.until(lambda: second.faults.steps > 5)
    assert second.metrics.leading == 0
    await first.end()
    await second.until(lambda: second.metrics.leading == 1)
    await second.end()


async def test_a_former_relay_that_wakes_up_publishes_and_deletes_nothing_more() -> None:
    """R-EVT-2: it is fenced by Kafka and has lost its lock, wherever it was frozen."""
    for frozen_at in ("producer.publish", "queue.delete", "queue.read"):
        rows = some_rows()
        kafka, outbox = a_world(rows)
        zombie = Process(kafka, outbox)
        asleep, awake = asyncio.Event(), asyncio.Event()
        original = zombie.faults.step

        async def step(
            what: str, at: str = frozen_at, original: Callable[..., object] = original,
            asleep: asyncio.Event = asleep, awake: asyncio.Event = awake,
        ) -> None:  # fmt: skip
            if what == at and not awake.is_set():
                asleep.set()
                await awake.wait()
            await original(what)  # type: ignore[misc]

        zombie.faults.step = step  # type: ignore[method-assign]
        await asyncio.wait_for(asleep.wait(), 10)
        outbox.holder = None
        successor = Process(kafka, outbox)
        await successor.until(lambda outbox=outbox: not outbox.rows)  # type: ignore[misc]
        published = len(kafka.records(TOPIC))
        late = OutboxRow(ShardId(0), Term(9), Seq(1), 0, USERS[0], b"late")
        await successor.end()
        outbox.holder = MemoryOutboxQueue(outbox, Faults())
        outbox.add([late])
        awake.set()
        await zombie.until(lambda zombie=zombie: zombie.metrics.failures > 0)  # type: ignore[misc]
        assert len(kafka.records(TOPIC)) == published
        assert list(outbox.rows.values()) == [late]
        await zombie.end()
        assert bodies_by_user(kafka) == expected(rows)


async def test_a_busy_shard_does_not_starve_the_next() -> None:
    """Promise 6: pages go round the shards."""
    busy, quiet = ShardId(3), ShardId(200)
    rows = [OutboxRow(busy, Term(1), Seq(n), 0, USERS[0], b"busy %d" % n) for n in range(LIMITS.batch_rows * 5)]
    kafka, outbox = a_world([*rows, OutboxRow(quiet, Term(1), Seq(1), 0, USERS[1], b"quiet")])
    process = Process(kafka, outbox)
    await process.until(lambda: any(record.value == b"quiet" for record in kafka.records(TOPIC)))
    assert len(kafka.records(TOPIC)) <= LIMITS.batch_rows * 2
    await process.until(lambda: not outbox.rows)
    await process.end()


async def test_the_age_of_the_outbox_is_known_while_kafka_is_away() -> None:
    """R-OBS-1"""
    kafka, outbox = a_world(some_rows())
    process = Process(kafka, outbox, lambda _n, what: PublishFailed("away") if what == "producer.publish" else None)
    await process.until(lambda: process.metrics.failures > 1)
    assert process.metrics.outbox_age_s > 0
    await process.end()
