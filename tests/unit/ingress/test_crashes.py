"""The ingress killed at every await there is, one after another, and started again (R-EVT-3, R-NFR-3)."""

import asyncio
from uuid import UUID

from actors.domain.commands import AddPurchase
from actors.domain.ids import UserId
from actors.ingress.decoding import decode, routes
from actors.ingress.delivery import DeliveryLimits
from actors.ingress.envelope import Undecodable
from actors.ingress.ingress import IngressLimits, keep_ingress
from actors.ingress.metrics import IngressMetrics
from actors.ingress.payloads import INSTALLED, PURCHASED, UNINSTALLED
from actors.ingress.ports import Record
from tests.memory import MemoryCatalog
from tests.memory.engine import MemoryCalls, MemoryEngine
from tests.memory.faults import Crashed, Faults, Plan, crash_at, healthy
from tests.memory.kafka import MemoryConsumer, MemoryDeadLetters, MemoryKafka
from tests.support.events import purchase, structured

GROUP, DEAD = "library", "dead"
ROUTES = routes({PURCHASED: PURCHASED, INSTALLED: INSTALLED, UNINSTALLED: UNINSTALLED})
USERS = [UUID(int=number) for number in range(1, 4)]
GAMES = [UUID(int=number) for number in range(100, 103)]
LIMITS = IngressLimits(
    window_records=4,
    poll_timeout_s=0.001,
    commit_interval_s=0.0005,
    lag_interval_s=60,
    revoke_grace_s=0.01,
    delivery=DeliveryLimits(max_in_flight=4, first_delay_s=0.0005, max_delay_s=0.0005),
)


def a_log() -> MemoryKafka:
    kafka = MemoryKafka()
    kafka.add_topic(PURCHASED, 2)
    kafka.add_topic(DEAD)
    for game in GAMES:
        for user in USERS:
            kafka.append(PURCHASED, user.bytes, structured(PURCHASED, purchase(user, [game])))
        kafka.append(PURCHASED, game.bytes, b"poison")
    return kafka


async def live(kafka: MemoryKafka, engine: MemoryEngine, plan: Plan) -> Faults:
    """One process' life: until the log is done, or it has died."""
    faults = Faults(plan)
    task = asyncio.create_task(
        keep_ingress(
            lambda: MemoryConsumer(kafka, faults, group=GROUP, topics=[PURCHASED], batch=3),
            calls=MemoryCalls(engine, faults),
            dead_letters=MemoryDeadLetters(kafka, faults, DEAD),
            products=MemoryCatalog(),
            where=ROUTES,
            stop=asyncio.Event(),
            random=lambda: 0.5,
            metrics=IngressMetrics(),
            limits=LIMITS,
        )
    )
    async with asyncio.timeout(10):
        while not task.done() and kafka.unread(GROUP, [PURCHASED]):  # noqa: ASYNC110 any step may be the one
            await asyncio.sleep(0)
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(outcome, Crashed | asyncio.CancelledError)
    return faults


def is_durable(record: Record, kafka: MemoryKafka, engine: MemoryEngine) -> bool:
    try:
        decoded = decode(record, ROUTES)
    except Undecodable:
        place = f"{record.partition.topic}/{record.partition.number}/{record.offset}".encode()
        return any(("from", place) in letter.headers for letter in kafka.records(DEAD))
    return (decoded.user_id, decoded.command) in engine.applied


async def test_a_crash_at_any_await_skips_nothing_and_doubles_nothing() -> None:
    """R-EVT-3, R-EVT-4: an offset passes only what is durable, and what is done again changes nothing."""
    steps = (await live(a_log(), MemoryEngine(), healthy)).steps
    assert steps > 30
    crashes = 0
    for step in range(steps):
        kafka, engine = a_log(), MemoryEngine()
        crashes += (await live(kafka, engine, crash_at(step))).dead

        for (_, partition), offset in kafka.offsets.items():
            assert all(is_durable(record, kafka, engine) for record in kafka.partitions[partition][:offset]), step

        await live(kafka, engine, healthy)
        for user in USERS:
            library = engine.users[UserId(user.bytes)].library
            assert library is not None
            assert [*library.items] == [game.bytes for game in GAMES]
            assert len(library.acquisitions) == len(GAMES)
        assert all(is_durable(record, kafka, engine) for record in kafka.records(PURCHASED))
        orders = [command.order_id for _, command in engine.applied if isinstance(command, AddPurchase)]
        assert len(set(orders)) == len(USERS) * len(GAMES)
    assert crashes > steps * 0.8
