"""What goes wrong, by a seed: processes killed and frozen, connections cut, a store that is slow, deaf or full."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from msgspec import Struct

from actors.domain.ids import SECOND, HostId, shard_of
from actors.domain.model import LiveSession
from tests.memory.store_faults import AT_ONCE, Course, Fate, Operation
from tests.simulation.network import Network
from tests.simulation.world import DOOR_NAMES, World

SHARD_READ_SHARE = 1 / 64
"""As many of the reads with which a takeover loads its shards take a while and may go wrong; the others are done at
once."""


class Weather(Struct, kw_only=True):
    """How the store treats each operation: chances, and how long it takes (seconds)."""

    lost: float = 0.0
    refused: float = 0.0
    slow: float = 0.0
    refuse_commits: bool = False


class Trouble:
    """One run's faults. ``log`` is the trace: what was done, and when."""

    def __init__(self, world: World, network: Network, random: Random) -> None:
        self._world = world
        self._network = network
        self._random = random
        self._fates = Random(random.random())
        self._weather = Weather(
            lost=random.choice((0.0, 0.01, 0.06)),
            refused=random.choice((0.0, 0.02)),
            slow=random.choice((0.0, 0.02, 0.1)),
        )
        world.clock_trust_s = 2.5 if self._weather.slow else 0.05
        self._tasks: list[asyncio.Task[None]] = []
        self.log: list[str] = []
        world.database.faults.hook = self._course
        self._kinds: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = [
            ("kill a host", self._kill_host),
            ("kill a host", self._kill_host),
            ("freeze a host", self._freeze_host),
            ("a second process takes a host over", self._twin),
            ("one door does not hear of a takeover", self._one_door_is_left),
            ("kill something else", self._kill_other),
            ("Kafka is away", self._kafka_away),
            ("cut connections", self._cut),
            ("restart the store", self._restart_store),
            ("the store is full", self._full_store),
            ("step the store's clock", self._step_clock),
            ("scale", self._scale),
            ("scale", self._scale),
            ("a former owner wakes up", self._former_owner_wakes),
            ("Redis is away", self._redis_away),
            ("restart Redis", self._restart_redis),
        ]

    async def run(self, seconds: float) -> None:
        """Faults until the time is over; then everything is allowed to heal."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            await asyncio.sleep(self._random.uniform(0.3, 3.0))
            name, fault = self._random.choice(self._kinds)
            self._note(name)
            self._tasks.append(loop.create_task(fault()))
        await asyncio.gather(*self._tasks)
        self._weather = Weather()
        self._world.kafka_away = False
        self._world.copies.down = False

    def _note(self, what: str) -> None:
        self.log.append(f"{asyncio.get_running_loop().time():.3f} {what}")

    def _some(self, prefix: str) -> str | None:
        names = sorted(name for name in self._world.processes if name.startswith(prefix))
        return self._random.choice(names) if names else None

    def _played_on(self) -> str | None:
        """A host on which somebody plays, as far as the tables know."""
        tables = self._world.database.tables
        players = {user_id for user_id, session in tables.sessions.values() if isinstance(session, LiveSession)}
        hosts = {f"host-{tables.shards[shard_of(user_id)].host_id}" for user_id in players}
        running = sorted(hosts & self._world.processes.keys())
        return self._random.choice(running) if running else None

    async def _kill_host(self) -> None:
        if (name := self._some("host-")) is not None:
            self._note(f"  {name}")
            self._world.kill(name)

    async def _freeze_host(self) -> None:
        if (name := self._some("host-")) is not None:
            seconds = self._random.choice((0.5, 3.0, 10.0))
            self._note(f"  {name} for {seconds} s")
            if self._random.random() < 0.5:
                # as when a node is taken for dead: another process takes the host over while this one only sleeps
                former = self._world.processes[name]
                former.freeze()
                self._world.spawn_host(_host_id(name))
                await asyncio.sleep(seconds)
                former.thaw()
            else:
                await self._world.freeze(name, seconds)

    async def _twin(self) -> None:
        """As when a node that was taken for dead is not: both run, and some doors still know the first."""
        if (name := self._some("host-")) is not None:
            self._note(f"  {name}")
            self._world.spawn_host(_host_id(name))
            await asyncio.sleep(self._random.uniform(0.01, 0.3))
            self._network.cut_some(0.4)

    async def _one_door_is_left(self) -> None:
        """A host stands still, another process takes it over, and the former goes on before everybody has noticed: what
        the door that has not noticed asked it meanwhile must not be answered from memory (promises 3 to 5)."""
        if (name := self._played_on()) is None:
            return
        former, host_id = self._world.processes[name], _host_id(name)
        before = self._world.hosts.get(host_id)
        former.freeze()
        self._world.spawn_host(host_id)
        patience = 40
        while patience and (self._world.hosts.get(host_id) is before or not self._world.serves(host_id)):
            await asyncio.sleep(0.05)
            patience -= 1
        left = self._random.choice(DOOR_NAMES)
        self._note(f"  {name}, but for {left}: {self._network.cut_some(1.0, but=left)} ends")
        await asyncio.sleep(self._random.uniform(0.2, 0.8))
        former.thaw()

    async def _kafka_away(self) -> None:
        """Now and then shards move meanwhile, so that events of two owners of a shard wait beside each other."""
        self._world.kafka_away = True
        if self._random.random() < 0.3:
            await self._scale()
            await asyncio.sleep(4.0)
        await asyncio.sleep(self._random.uniform(1.0, 4.0))
        self._world.kafka_away = False

    async def _former_owner_wakes(self) -> None:
        """It finds no newer copy than its own, and nobody answers instead of it for a while."""
        if (name := self._some("host-")) is None:
            return
        former = self._world.processes[name]
        former.freeze()
        self._world.spawn_host(_host_id(name))
        await asyncio.sleep(self._random.uniform(3.5, 6.0))
        self._world.copies.restart()
        former.thaw()
        await asyncio.sleep(self._random.uniform(0.0, 0.3))
        self._world.kill(name)

    async def _redis_away(self) -> None:
        self._world.copies.down = True
        await asyncio.sleep(self._random.uniform(0.5, 4.0))
        self._world.copies.down = False

    async def _restart_redis(self) -> None:
        self._world.copies.restart()

    async def _kill_other(self) -> None:
        name = self._random.choice(("door-0", "door-1", "ingress", "relay", "supervisor"))
        self._note(f"  {name}")
        self._world.kill(name)

    async def _cut(self) -> None:
        self._note(f"  {self._network.cut_some(self._random.choice((0.2, 1.0)))} ends")

    async def _restart_store(self) -> None:
        self._world.database.stop()
        await asyncio.sleep(self._random.choice((0.1, 2.0, 8.0)))
        self._world.database.start()

    async def _full_store(self) -> None:
        self._weather.refuse_commits = True
        await asyncio.sleep(self._random.choice((1.0, 8.0)))
        self._weather.refuse_commits = False

    async def _step_clock(self) -> None:
        seconds = self._random.choice((-3, -0.5, 0.5, 3))
        self._world.clock_trust_s += abs(seconds)
        self._world.database.clock.step(int(seconds * SECOND))

    async def _scale(self) -> None:
        wanted = self._world.database.tables.wanted_hosts
        await self._world.scale(self._random.choice([count for count in (1, 2, 3) if count != wanted]))

    def _course(self, operation: Operation) -> Course:
        weather, fates = self._weather, self._fates
        if operation.kind == "read_shard" and fates.random() >= SHARD_READ_SHARE:
            return AT_ONCE
        after_s = fates.uniform(1e-4, 3e-3)
        if fates.random() < weather.slow:
            after_s += fates.uniform(0.1, 2.0)
        return Course(after_s, self._fate(operation))

    def _fate(self, operation: Operation) -> Fate:
        weather, fates = self._weather, self._fates
        if weather.refuse_commits and operation.kind in ("append", "flush"):
            return Fate.REFUSED
        if fates.random() < weather.lost:
            return fates.choice((Fate.LOST_BEFORE, Fate.LOST_AFTER))
        if operation.kind in ("append", "flush") and fates.random() < weather.refused:
            return Fate.REFUSED
        return Fate.PROCEED


def _host_id(name: str) -> HostId:
    return HostId(int(name.removeprefix("host-")))
