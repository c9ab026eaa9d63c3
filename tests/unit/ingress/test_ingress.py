"""The ingress over Kafka and engine in memory: order, windows, retries, dead letters, rebalances (R-EVT-3, R-EVT-4)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest
from msgspec.structs import replace

from actors.domain.commands import AddPurchase, ChangeInstallation, Command
from actors.domain.ids import UserId
from actors.domain.replies import Failed, Overloaded, Reply, Unavailable
from actors.ingress.decoding import routes
from actors.ingress.delivery import DeliveryLimits
from actors.ingress.ingress import IngressLimits, keep_ingress
from actors.ingress.metrics import IngressMetrics
from actors.ingress.payloads import INSTALLED, PRODUCT_UPDATED, PURCHASED, UNINSTALLED, EventType
from actors.ingress.ports import BrokerUnavailable, Partition
from tests.memory.engine import MemoryCalls, MemoryEngine
from tests.memory.faults import Faults
from tests.memory.kafka import MemoryConsumer, MemoryDeadLetters, MemoryKafka
from tests.memory.services import MemoryCatalog
from tests.support.events import installation, purchase, structured

GROUP, DEAD = "library", "dead"
TOPICS: list[EventType] = [PURCHASED, INSTALLED, UNINSTALLED, PRODUCT_UPDATED]
LIMITS = IngressLimits(
    window_records=10,
    poll_timeout_s=0.01,
    commit_interval_s=0.001,
    lag_interval_s=0.001,
    revoke_grace_s=0.2,
    first_reconnect_s=0.001,
    max_reconnect_s=0.001,
    delivery=DeliveryLimits(max_in_flight=8, first_delay_s=0.001, max_delay_s=0.002),
)


class World:
    """One ingress process and what is around it."""

    def __init__(self) -> None:
        self.kafka = MemoryKafka()
        for topic in TOPICS:
            self.kafka.add_topic(topic, 2)
        self.kafka.add_topic(DEAD)
        self.engine = MemoryEngine()
        self.faults = Faults()
        self.calls = MemoryCalls(self.engine, self.faults)
        self.dead_letters = MemoryDeadLetters(self.kafka, self.faults, DEAD)
        self.catalog = MemoryCatalog()
        self.metrics = IngressMetrics()
        self.consumers: list[MemoryConsumer] = []
        self.stop = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def open_consumer(self) -> MemoryConsumer:
        self.consumers.append(MemoryConsumer(self.kafka, self.faults, group=GROUP, topics=TOPICS, batch=5))
        return self.consumers[-1]

    def start(self, limits: IngressLimits = LIMITS) -> None:
        self.task = asyncio.create_task(
            keep_ingress(
                self.open_consumer,
                calls=self.calls,
                dead_letters=self.dead_letters,
                products=self.catalog,
                where=routes({kind: kind for kind in TOPICS}),
                stop=self.stop,
                random=lambda: 0.5,
                metrics=self.metrics,
                limits=limits,
            )
        )

    def buy(self, user: UUID, *products: UUID) -> None:
        self.kafka.append(PURCHASED, user.bytes, structured(PURCHASED, purchase(user, products)))

    def installed(self, user: UUID, product: UUID, event_type: str, second: int) -> None:
        topic = INSTALLED if event_type == "installed" else UNINSTALLED
        payload = installation(user, product, event_type, f"2024-03-15T10:00:{second:02}Z")
        self.kafka.append(topic, user.bytes, structured(topic, payload))

    @property
    def unread(self) -> int:
        return self.kafka.unread(GROUP, TOPICS)

    @property
    def consumer(self) -> MemoryConsumer:
        return self.consumers[-1]

    async def until(self, condition: Callable[[], bool]) -> None:
        assert self.task is not None
        async with asyncio.timeout(10):
            while not condition():
                if self.task.done():
                    self.task.result()
                    raise AssertionError("the ingress has ended")
                await asyncio.sleep(0.001)

    async def finish(self) -> None:
        self.stop.set()
        self.calls.gate.set()
        assert self.task is not None
        await asyncio.wait_for(self.task, 10)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    made.start()
    yield made
    if made.task is not None and not made.task.done():
        await made.finish()


USERS = [UUID(int=number) for number in range(1, 6)]
GAMES = [UUID(int=number) for number in range(100, 140)]


async def test_purchases_and_installs_reach_the_users_in_the_order_of_their_partitions(world: World) -> None:
    """R-EVT-3, R-LIB-5, R-LIB-6"""
    for game in GAMES:
        for user in USERS:
            world.buy(user, game)
    await world.until(lambda: world.unread == 0)
    for user in USERS:
        world.installed(user, GAMES[0], "installed", 1)
    await world.until(lambda: world.unread == 0)

    for user in USERS:
        bought = [command for who, command in world.engine.applied if who == user.bytes]
        games = [command.product_ids[0] for command in bought if isinstance(command, AddPurchase)]
        assert games == [game.bytes for game in GAMES]
        library = world.engine.users[UserId(user.bytes)].library
        assert library is not None
        assert [item.installation_status for item in library.items.values()].count("installed") == 1
    assert world.metrics.consumed == len(USERS) * (len(GAMES) + 1)
    assert world.calls.most_outstanding_of_a_user == 1
    assert 1 < world.calls.most_outstanding <= LIMITS.delivery.max_in_flight


async def test_no_offset_passes_a_command_that_was_not_answered(world: World) -> None:
    """R-EVT-3: committed only after the effect is durable."""
    world.calls.gate.clear()
    world.buy(USERS[0], GAMES[0])
    await world.until(lambda: world.calls.most_outstanding == 1)
    await asyncio.sleep(LIMITS.commit_interval_s * 20)
    assert world.unread == 1
    world.calls.gate.set()
    await world.until(lambda: world.unread == 0)


async def test_a_full_window_pauses_its_partition_and_only_that(world: World) -> None:
    """Promise 6: bounded by the window and one poll."""
    world.calls.gate.clear()
    for game in GAMES:
        world.buy(USERS[0], game)
    await world.until(lambda: bool(world.consumer.paused))
    (paused,) = world.consumer.paused
    taken = len(world.kafka.partitions[paused]) - await world.consumer.behind()
    assert taken <= LIMITS.window_records + 5
    world.calls.gate.set()
    await world.until(lambda: world.unread == 0)
    assert not world.consumer.paused


async def test_a_user_whose_host_is_away_holds_up_nobody_else_and_is_never_a_dead_letter(world: World) -> None:
    """R-EVT-4: a full or absent dependency is not poison."""
    replies: list[Reply] = [Unavailable("no host", unknown=True), Overloaded("mailbox", retry_after_s=0)]
    away = True

    def trouble(user: UserId, _command: Command) -> Reply | None:
        return replies[world.metrics.retries % 2] if away and user == USERS[0].bytes else None

    world.calls.trouble = trouble
    for user in USERS:
        world.buy(user, GAMES[0])
    await world.until(lambda: world.metrics.retries > 20 and world.metrics.consumed == len(USERS) - 1)
    assert world.unread > 0
    away = False
    await world.until(lambda: world.unread == 0)
    assert world.dead_letters.letters == []
    assert world.engine.products(UserId(USERS[0].bytes)) == {GAMES[0].bytes}


async def test_a_rule_that_raises_is_tried_a_few_times_and_then_buried(world: World) -> None:
    """R-EVT-4"""
    tries = 0

    def trouble(user: UserId, _command: Command) -> Reply | None:
        nonlocal tries
        if user != USERS[0].bytes:
            return None
        tries += 1
        return Failed("inc-1")

    world.calls.trouble = trouble
    world.buy(USERS[0], GAMES[0])
    world.buy(USERS[1], GAMES[0])
    await world.until(lambda: world.unread == 0)
    (letter,) = world.dead_letters.letters
    assert (letter.reason, letter.detail, tries) == ("failed", "incident inc-1", LIMITS.delivery.max_failures)
    assert letter.event_id is not None
    assert world.metrics.dead_lettered == {"failed": 1}


async def test_an_event_under_which_hosts_die_again_and_again_is_buried(world: World) -> None:
    """R-EVT-4: it may be what kills them; one that only met two deaths is tried again."""
    tries = 0

    def trouble(user: UserId, _command: Command) -> Reply | None:
        nonlocal tries
        if user != USERS[0].bytes:
            return None
        tries += 1
        return Unavailable("its host died under it, twice", unknown=True, suspect=True)

    world.calls.trouble = trouble
    world.buy(USERS[0], GAMES[0])
    world.buy(USERS[1], GAMES[0])
    await world.until(lambda: world.unread == 0)
    (letter,) = world.dead_letters.letters
    assert (letter.reason, tries) == ("kills_hosts", LIMITS.delivery.max_suspicions)
    assert letter.event_id is not None


async def test_only_the_event_that_kills_hosts_is_buried(world: World) -> None:
    """Those that were outstanding beside it are innocent: a purchase must not be lost to its neighbour."""
    killer = UserId(USERS[0].bytes)

    def trouble(_user: UserId, _command: object) -> Reply | None:
        return Unavailable("died", unknown=True, suspect=True) if world.calls.outstanding[killer] else None

    world.calls.trouble = trouble
    world.calls.gate.clear()
    for user in USERS:
        world.buy(user, GAMES[0])
    await world.until(lambda: world.calls.outstanding.total() == len(USERS))
    world.calls.gate.set()
    await world.until(lambda: world.unread == 0)
    (letter,) = world.dead_letters.letters
    assert letter.reason == "kills_hosts"
    assert not world.engine.products(killer)
    for user in USERS[1:]:
        assert world.engine.products(UserId(user.bytes)) == {GAMES[0].bytes}


async def test_poison_is_buried_as_it_was_and_its_partition_goes_on(world: World) -> None:
    """R-EVT-4"""
    for number in range(30):
        world.kafka.append(PURCHASED, USERS[0].bytes, b"poison %d" % number, [("h", b"v")])
    world.buy(USERS[0], GAMES[0])
    await world.until(lambda: world.unread == 0)
    assert {letter.record.value for letter in world.dead_letters.letters} == {b"poison %d" % n for n in range(30)}
    assert world.dead_letters.letters[0].record.headers == (("h", b"v"),)
    assert world.metrics.dead_lettered == {"not_json": 30}
    assert world.engine.products(UserId(USERS[0].bytes)) == {GAMES[0].bytes}


async def test_the_offset_waits_for_the_dead_letter_to_be_acknowledged(world: World) -> None:
    """R-EVT-4: also when Kafka does not take it for a while."""
    world.faults.plan = lambda _n, what: BrokerUnavailable() if what == "dead_letters.put" else None
    world.kafka.append(PURCHASED, None, b"poison")
    await world.until(lambda: world.metrics.retries > 10)
    assert world.unread == 1
    world.faults.plan = lambda _n, _what: None
    await world.until(lambda: world.unread == 0)
    assert len(world.dead_letters.letters) == 1


async def test_an_install_event_of_a_product_not_owned_is_acknowledged_and_counted(world: World) -> None:
    """R-LIB-8"""
    world.installed(USERS[0], GAMES[0], "installed", 1)
    await world.until(lambda: world.unread == 0)
    assert (world.metrics.consumed, world.metrics.unchanged) == (1, 1)


async def test_a_revoked_partition_is_committed_and_then_nothing_of_it_counts(world: World) -> None:
    """ARCHITECTURE.md, "Kafka": stop, wait briefly, commit, drop."""
    for game in GAMES[:3]:
        world.buy(USERS[0], game)
    await world.until(lambda: world.unread == 0)
    world.calls.gate.clear()
    for game in GAMES[3:8]:
        world.buy(USERS[0], game)
    await world.until(lambda: world.calls.outstanding.total() == 1)
    before = dict(world.kafka.offsets)

    await world.consumer.rebalance([])
    assert world.kafka.offsets == before
    world.calls.gate.set()
    await world.until(lambda: world.calls.outstanding.total() == 0)
    await asyncio.sleep(LIMITS.commit_interval_s * 20)
    assert world.kafka.offsets == before

    await world.consumer.rebalance(list(world.kafka.partitions)[:6])
    await world.until(lambda: world.unread == 0)
    assert world.engine.products(UserId(USERS[0].bytes)) == {game.bytes for game in GAMES[:8]}


async def test_what_is_answered_within_the_grace_of_a_revocation_is_committed(world: World) -> None:
    """R-EVT-3"""
    world.calls.gate.clear()
    world.buy(USERS[0], GAMES[0])
    await world.until(lambda: world.calls.outstanding.total() == 1)
    revoking = asyncio.create_task(world.consumer.rebalance([]))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not revoking.done()
    world.calls.gate.set()
    await revoking
    assert world.unread == 0


async def test_rebalances_in_the_middle_of_the_flow_lose_and_double_nothing(world: World) -> None:
    """R-EVT-3: delivered twice, done once."""
    everything = [partition for partition in world.kafka.partitions if partition.topic in TOPICS]
    for game in GAMES:
        for user in USERS:
            world.buy(user, game)
        world.installed(USERS[0], game, "uninstalled", 2)
        await world.consumer.rebalance(everything)
    await world.until(lambda: world.unread == 0)
    for user in USERS:
        assert world.engine.products(UserId(user.bytes)) == {game.bytes for game in GAMES}
    assert world.calls.most_outstanding_of_a_user == 1


@pytest.mark.parametrize("point", ["consumer.start", "consumer.poll", "consumer.commit"])
async def test_kafka_away_for_a_while_costs_nothing_but_time(world: World, point: str) -> None:
    """R-EVT-3: it comes back by itself."""
    away = True
    world.faults.plan = lambda _n, what: BrokerUnavailable() if away and what in (point, "consumer.poll") else None
    await world.until(lambda: world.metrics.reconnects > 3)
    world.buy(USERS[0], GAMES[0])
    away = False
    await world.until(lambda: world.unread == 0)
    assert all(consumer.stopped for consumer in world.consumers[:-1])


async def test_a_commit_that_fails_is_tried_again(world: World) -> None:
    """R-EVT-3"""
    world.faults.plan = lambda _n, what: BrokerUnavailable() if what == "consumer.commit" else None
    world.buy(USERS[0], GAMES[0])
    await world.until(lambda: world.metrics.commit_failures > 2)
    world.faults.plan = lambda _n, _what: None
    await world.until(lambda: world.unread == 0)


async def test_a_stopped_ingress_has_committed_what_is_durable() -> None:
    """R-EVT-3: without waiting for the interval."""
    world = World()
    world.start(replace(LIMITS, commit_interval_s=3_600))
    world.buy(USERS[0], GAMES[0])
    await world.until(lambda: world.metrics.consumed == 1)
    assert world.unread == 1
    await world.finish()
    assert world.unread == 0
    assert world.consumer.stopped


async def test_the_lag_is_what_waits_in_the_log_and_what_is_under_way(world: World) -> None:
    """R-OBS-1"""
    world.calls.gate.clear()
    for game in GAMES:
        world.buy(USERS[0], game)
    await world.until(lambda: world.metrics.lag == len(GAMES))
    world.calls.gate.set()
    await world.until(lambda: world.metrics.lag == 0)


async def test_the_trace_of_an_event_goes_with_its_command(world: World) -> None:
    """R-OBS-1"""
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    value = structured(PURCHASED, purchase(USERS[0], GAMES[:1]), traceparent=trace)
    world.kafka.append(PURCHASED, None, value)
    await world.until(lambda: world.unread == 0)
    assert world.calls.traces == [trace]


async def test_a_record_of_a_partition_that_is_not_ours_is_ignored(world: World) -> None:
    await world.until(lambda: bool(world.consumers))
    await world.consumer.rebalance([Partition(INSTALLED, 0)])
    world.buy(USERS[0], GAMES[0])
    world.buy(USERS[1], GAMES[0])
    await asyncio.sleep(0.02)
    assert world.unread == 2
    assert world.engine.applied == []


def test_commands_of_this_issue_need_no_memory_of_ids() -> None:
    """ARCHITECTURE.md, "Command ids": purchases are remembered by order and product, installs compared by time."""
    assert not AddPurchase.remembered
    assert not ChangeInstallation.remembered


async def test_news_of_a_product_reach_the_catalog_in_order_and_wait_for_the_cache(world: World) -> None:
    """R-LIB-4, R-EVT-3: an absent cache is no poison, and holds up nobody's purchases."""
    world.catalog.down = True
    for number in range(3):
        payload = {"product_id": str(GAMES[0]), "updated_fields": ["title"], "new_title": f"Игра {number}"}
        at = f"2024-03-15T10:00:0{number}Z"
        world.kafka.append(PRODUCT_UPDATED, GAMES[0].bytes, structured(PRODUCT_UPDATED, payload, time=at))
    world.buy(USERS[0], GAMES[0])
    await world.until(lambda: bool(world.engine.applied))
    await world.until(lambda: world.metrics.retries > 3)
    assert world.unread == 3
    world.catalog.down = False
    await world.until(lambda: world.unread == 0)
    assert [update.title for update in world.catalog.heard] == ["Игра 0", "Игра 1", "Игра 2"]
    assert not world.kafka.records(DEAD)
