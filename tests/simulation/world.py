"""The system under test: the engine's real processes over a store, a network and a Kafka in memory.

What Ray does is done here: a process that was killed or left comes back after a while, under the same name.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from random import Random
from typing import Any, TypeVar

from msgspec import Struct

from actors.copies.answering import FromCopy, LibraryPages
from actors.copies.keeper import CopyLimits
from actors.domain.commands import Command, ListItems
from actors.domain.context import Policy
from actors.domain.ids import CommandId, HostId, ShardId, UserId
from actors.domain.replies import Reply, Unavailable
from actors.engine import HostOptions
from actors.fleet.membership import Membership
from actors.fleet.ports import ProcessInfo
from actors.flush_loop import FlushLimits
from actors.host import Host
from actors.ingress.decoding import routes
from actors.ingress.ingress import keep_ingress
from actors.ingress.metrics import IngressMetrics
from actors.ingress.payloads import PURCHASED, REFUNDED, STATUS_CHANGED, EventType
from actors.lifecycle import HostState
from actors.link.handshake import Credentials
from actors.mailbox import MailboxLimits
from actors.ports import OutboxRow, StoreUnavailable
from actors.relay.metrics import RelayMetrics
from actors.relay.ports import OutboxPage, PublishFailed
from actors.relay.relay import OutboxRelay
from actors.release import release_formats
from actors.router import Router, RouterLimits
from actors.supervisor import ControlFailed, Supervisor
from actors.titles import CatalogTitles
from serve_app.many_heartbeats import Beat, beat_many
from tests.memory import (
    MemoryCatalog,
    MemoryClockStore,
    MemoryClusterMapReader,
    MemoryDatabase,
    MemoryEntityLoader,
    MemoryFleetStore,
    MemoryHostStore,
    MemorySupervisorStore,
)
from tests.memory.copies import MemoryCopies
from tests.memory.faults import Faults
from tests.memory.kafka import MemoryConsumer, MemoryDeadLetters, MemoryKafka, MemoryProducer
from tests.memory.store_clock import StoreClock
from tests.memory.store_faults import StoreFaults
from tests.memory.tables import outbox_key
from tests.simulation.cache import SlowCopies
from tests.simulation.processes import Process

CREDENTIALS = Credentials(cluster="simulation", secret=b"a secret of the simulation, long enough")
TOPICS: dict[EventType, str] = {PURCHASED: "purchases", REFUNDED: "refunds", STATUS_CHANGED: "statuses"}
EVENTS, DEAD_LETTERS = "events", "dead"
POLICY = Policy(heartbeat_interval_s=2, session_timeout_s=6, max_live_sessions=3)
DOOR_NAMES = ("door-0", "door-1")
NODE, RELEASE = "memory", "simulated"
BEATS_TIMEOUT_S = 2.0
T = TypeVar("T")


class Request(Struct, frozen=True, kw_only=True):
    """What a client asks of a door."""

    user_id: UserId
    command: Command
    command_id: CommandId | None = None
    timeout_s: float = 2.0


class World:
    """Made on the loop. ``start``, then ``heal`` and ``close``; faults are done to it in between."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.database = MemoryDatabase(clock=StoreClock(follows_loop=True), faults=StoreFaults(), timeout_s=1.0)
        self.kafka = MemoryKafka()
        self.catalog = MemoryCatalog()
        self.titles = CatalogTitles(self.catalog, asyncio.get_running_loop().time)
        for topic in (*TOPICS.values(), EVENTS, DEAD_LETTERS):
            self.kafka.add_topic(topic, 2)
        self.processes: dict[str, Process] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.hosts: dict[HostId, Host] = {}
        self.routers: dict[str, Router] = {}
        self.restarting: set[str] = set()
        self.stopped: set[str] = set()
        self.healthy = False
        self._others: set[asyncio.Task[None]] = set()
        self._relay_holder: Process | None = None
        self.kafka_away = False
        self.copies = MemoryCopies()
        self.late_copies = random.choice((0.0, 0.1, 0.4))
        self.clock_trust_s = 0.0
        self.screens_apart = random.random() < 0.5
        """Whether who only looks has a door of their own, as a web site beside the games' door."""

    # --- processes -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.spawn("supervisor", self._supervisor)
        for name in DOOR_NAMES:
            self.spawn(name, lambda name=name: self._router_life(name, "door"))
        self.spawn("ingress", self._ingress)
        self.spawn("relay", self._relay)

    def spawn(self, name: str, body: Callable[[], Coroutine[Any, Any, None]]) -> None:
        process = self.processes[name] = Process(name)
        self.tasks[name] = process.start(self._live(name, process, body))

    async def _live(self, name: str, process: Process, body: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A process whose body ends or raises leaves at once, as by ``os._exit``."""
        try:
            await body()
        finally:
            if not process.killed:
                asyncio.get_running_loop().call_soon(self._end, name, process, context=self._outside())

    def kill(self, name: str) -> None:
        """``kill -9``; Ray starts it again soon, if it is still wanted."""
        process = self.processes.get(name)
        if process is not None and not process.killed:
            self._end(name, process)

    def _end(self, name: str, process: Process) -> None:
        process.kill()
        if self.processes.get(name) is not process:
            return  # another process has the name by now
        if name in self.stopped:
            del self.processes[name]
            return
        self.restarting.add(name)
        self._outside_task(self._restart(name))

    async def _restart(self, name: str) -> None:
        await asyncio.sleep(0.1 if self.healthy else self.random.uniform(0.2, 3.0))
        self.restarting.discard(name)
        if name in self.stopped:
            self.processes.pop(name, None)
        elif name.startswith("host-"):
            self.spawn_host(HostId(int(name.removeprefix("host-"))))
        elif name.startswith("door-"):
            self.spawn(name, lambda: self._router_life(name, "door"))
        else:
            bodies = {"supervisor": self._supervisor, "ingress": self._ingress, "relay": self._relay}
            self.spawn(name, bodies[name])

    def spawn_host(self, host_id: HostId) -> None:
        self.stopped.discard(f"host-{host_id}")
        self.spawn(f"host-{host_id}", lambda: self._host(host_id))

    def serves(self, host_id: HostId) -> bool:
        """The process that has the host's name now."""
        process, host = self.processes.get(f"host-{host_id}"), self.hosts.get(host_id)
        return process is not None and not process.killed and host is not None and host.state is HostState.RUNNING

    async def freeze(self, name: str, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        process = self.processes.get(name)
        if process is None or process.killed:
            return
        process.freeze()
        await asyncio.sleep(seconds)
        process.thaw()

    def _outside_task(self, body: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(body, context=self._outside())
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    def _outside(self) -> Any:
        return self.database.context

    # --- bodies ----------------------------------------------------------------------------------------------------

    async def _host(self, host_id: HostId) -> None:
        formats = release_formats()
        info = ProcessInfo(
            process_id=self.random.randbytes(16), name=f"host-{host_id}", node=NODE, release=RELEASE, newest=1
        )
        member = Membership(store=MemoryFleetStore(self.database), info=info, formats=formats)
        await member.join()
        host = self.hosts[host_id] = Host(
            options=HostOptions(
                host_id=host_id,
                listen_address="memory",
                policy=POLICY,
                mailbox=MailboxLimits(per_entity=16, per_host=64),
                flush=FlushLimits(interval_s=1.0),
                max_batch_commands=8,
                idle_entity_s=2.0,
                max_resident_entities=3,
                copies=CopyLimits(min_interval_s=0.5, renew_s=2.0),
            ),
            credentials=CREDENTIALS,
            store=MemoryHostStore(self.database, host_id),
            loader=MemoryEntityLoader(self.database),
            clock_store=MemoryClockStore(self.database),
            catalog=self.catalog,
            formats=formats,
            on_serving=member.serves,
            copies=self._copies_seen_by_a_process(),
            new_id=lambda: self.random.randbytes(16),
            cpu_seconds=lambda: 0.0,
        )
        await member.beside(host.run())

    def _copies_seen_by_a_process(self) -> SlowCopies:
        return SlowCopies(self.copies, self.random, self._outside_task, self.late_copies)

    async def _router_life(self, name: str, role: Any) -> None:
        router = Router(
            reader=MemoryClusterMapReader(self.database), credentials=CREDENTIALS, role=role, limits=RouterLimits()
        )
        router.start()
        self.routers[name] = router
        await asyncio.Event().wait()

    async def _ingress(self) -> None:
        router = Router(
            reader=MemoryClusterMapReader(self.database), credentials=CREDENTIALS, role="ingress", limits=RouterLimits()
        )
        router.start()
        faults = Faults()
        await keep_ingress(
            lambda: MemoryConsumer(self.kafka, faults, group="library", topics=list(TOPICS.values()), batch=10),
            calls=router,
            dead_letters=MemoryDeadLetters(self.kafka, faults, DEAD_LETTERS),
            products=self.catalog,
            where=routes(TOPICS),
            stop=asyncio.Event(),
            random=self.random.random,
            metrics=IngressMetrics(),
        )

    async def _relay(self) -> None:
        relay = OutboxRelay(
            TableOutboxQueue(self, self.processes["relay"]),
            lambda: MemoryProducer(self.kafka, Faults(self._kafka_fate), topic=EVENTS),
            metrics=RelayMetrics(),
            random=self.random.random,
        )
        await relay.run()

    def _kafka_fate(self, _step: int, what: str) -> Exception | None:
        return PublishFailed(what) if self.kafka_away else None

    async def _supervisor(self) -> None:
        supervisor = Supervisor(
            store=MemorySupervisorStore(self.database),
            fleet=MemoryFleetStore(self.database),
            control=WorldControl(self),
            release=RELEASE,
            initial_hosts=2,
        )
        await supervisor.run()

    # --- what clients and judges do --------------------------------------------------------------------------------

    async def ask(self, door: str, request: Request) -> Reply | FromCopy | None:
        """A request over a connection to a door; None when the connection broke, or nobody answered in time."""

        def call(router: Router) -> Coroutine[Any, Any, Reply | FromCopy]:
            if isinstance(request.command, ListItems):
                pages = LibraryPages(router, self._copies_seen_by_a_process(), self.titles)
                return pages.ask(request.user_id, request.command, timeout_s=request.timeout_s)
            return router.call(
                request.user_id, request.command, timeout_s=request.timeout_s, command_id=request.command_id
            )

        reply = await self._at_door(door, call, request.timeout_s)
        return None if isinstance(reply, Unavailable) and reply.unknown else reply

    async def beat_many(self, door: str, beats: Sequence[Beat], key: CommandId | None) -> list[Reply] | None:
        """Many heartbeats in one request; None as for ``ask``."""
        timeout_s = BEATS_TIMEOUT_S
        return await self._at_door(door, lambda r: beat_many(r, beats, timeout_s=timeout_s, key=key), timeout_s)

    async def _at_door(self, door: str, call: Callable[[Router], Coroutine[Any, Any, T]], timeout_s: float) -> T | None:
        process = self.processes.get(door)
        router = self.routers.get(door)
        if process is None or router is None or process.killed:
            await asyncio.sleep(0.05)
            return None
        broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        process.on_end.append(lambda: broken.done() or broken.set_result(None))
        answer = process.start(call(router))
        done, _ = await asyncio.wait({answer, broken}, timeout=timeout_s + 1, return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer in done else None

    async def scale(self, count: int) -> None:
        try:
            await MemorySupervisorStore(self.database).set_wanted_hosts(count)
        except StoreUnavailable:
            return


class WorldControl:
    """``ProcessControl`` over pretended processes."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def nodes(self) -> Mapping[str, bool]:
        return {NODE: True}

    async def running_hosts(self) -> Collection[HostId]:
        return [HostId(int(name.removeprefix("host-"))) for name in self._world.processes if name.startswith("host-")]

    async def ensure_host(self, host_id: HostId, node: str | None) -> None:
        name = f"host-{host_id}"
        if name not in self._world.processes and name not in self._world.restarting:
            self._world.database.context.copy().run(self._world.spawn_host, host_id)

    async def ensure_services(self) -> Collection[str]:
        """They are always there."""
        return []

    async def stop_service(self, name: str) -> None:
        raise AssertionError(f"nobody asks for the end of {name}")

    async def give(self, host_id: HostId, shard_ids: Iterable[ShardId], to_host: HostId) -> None:
        host, process = self._world.hosts.get(host_id), self._world.processes.get(f"host-{host_id}")
        if host is None or process is None or process.killed or process.frozen:
            raise ControlFailed("the host does not answer")
        process.context.copy().run(host.give, list(shard_ids), to_host)

    async def stop_host(self, host_id: HostId) -> None:
        name = f"host-{host_id}"
        self._world.stopped.add(name)
        host, process = self._world.hosts.get(host_id), self._world.processes.get(name)
        if host is not None and process is not None and not process.killed:
            process.context.copy().run(host.stop)


class TableOutboxQueue:
    """The relay's port over the store's own outbox table. The lock dies with its process."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    async def acquire(self) -> bool:
        await self._reach()
        holder = self._world._relay_holder
        if holder is None or holder.killed:
            self._world._relay_holder = self._process
        return self._world._relay_holder is self._process

    async def read(self, from_shard: ShardId, limit: int) -> OutboxPage:
        await self._reach()
        rows = self._world.database.tables.outbox
        keys = sorted(key for key in rows if key[0] >= from_shard)[:limit]
        return OutboxPage(rows=[rows[key] for key in keys], oldest_age_s=0.0)

    async def delete(self, rows: Sequence[OutboxRow]) -> None:
        await self._reach()
        for row in rows:
            self._world.database.tables.outbox.pop(outbox_key(row), None)

    async def release(self) -> None:
        if self._world._relay_holder is self._process:
            self._world._relay_holder = None

    async def _reach(self) -> None:
        await asyncio.sleep(self._world.random.uniform(1e-4, 2e-3))
        if not self._world.database.up:
            raise StoreUnavailable("the server is down")
