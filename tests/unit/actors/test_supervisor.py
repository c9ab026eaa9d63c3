"""The supervisor over machines in memory: what it starts, moves, replaces and ends, round after round."""

import logging
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

import pytest

from actors.domain.ids import SECOND, HostId, Micros, ShardId, Term
from actors.fleet.ports import ProcessInfo
from actors.ports import ShardOwner
from actors.supervisor import ControlFailed, Supervisor
from tests.memory import MemoryDatabase, MemoryFleetStore, MemorySupervisorStore, StoreClock

A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"


@pytest.fixture(autouse=True)
def log_lines_are_made(caplog: pytest.LogCaptureFixture) -> None:
    """As in the running service: a line that cannot be made ends the supervisor."""
    caplog.set_level(logging.INFO)


class Machines:
    """``ProcessControl`` over pretended processes: one serves from the round after it was started, gives shards at
    once, and says that it runs whenever a round is over."""

    def __init__(self, *addresses: str) -> None:
        self.database = MemoryDatabase(clock=StoreClock(Micros(0)))
        self.fleet = MemoryFleetStore(self.database)
        self.usable = dict.fromkeys(addresses, True)
        self.release = "1.0"
        self.broken = ""
        self.kills = False
        self.ended: list[str] = []
        self.running: dict[str, tuple[ProcessInfo, bool]] = {}
        self.away_at_once = 0
        self._last_id = 0

    async def nodes(self) -> Mapping[str, bool]:
        return dict(self.usable)

    async def running_hosts(self) -> Collection[HostId]:
        return [HostId(int(name.removeprefix("host-"))) for name in self.running if name.startswith("host-")]

    async def ensure_host(self, host_id: HostId, node: str | None) -> None:
        self._ensure(f"host-{host_id}", node or next(iter(self.usable)))

    async def ensure_services(self) -> Collection[str]:
        self._ensure(
            "relay", next((address for address, usable in self.usable.items() if usable), next(iter(self.usable)))
        )
        return ["relay"]

    async def give(self, host_id: HostId, shard_ids: Iterable[ShardId], to_host: HostId) -> None:
        if f"host-{host_id}" not in self.running:
            raise ControlFailed("no such process")
        assert self.running[f"host-{to_host}"][1], "shards were given to a host that does not serve"
        for shard_id in shard_ids:
            owner = self.database.tables.shards[shard_id]
            assert owner.host_id == host_id
            self.database.tables.shards[shard_id] = ShardOwner(shard_id, to_host, Term(owner.term + 1))

    async def stop_host(self, host_id: HostId) -> None:
        owners = {owner.host_id for owner in self.database.tables.shards.values()}
        _, serves = self.running[f"host-{host_id}"]
        assert host_id not in owners or not serves, "a host was ended that serves shards"
        await self.stop_service(f"host-{host_id}")

    async def stop_service(self, name: str) -> None:
        info, _ = self.running.pop(name)
        self.ended.append(name)
        if self.kills:
            raise ControlFailed("it did not stop in time and was killed")
        await self.fleet.withdraw(info.process_id)

    async def lose(self, address: str) -> None:
        """The node and all on it; nobody is told. Ray starts the hosts somewhere else."""
        del self.usable[address]
        for name, (info, _) in list(self.running.items()):
            if info.node == address:
                del self.running[name]

    async def after_a_round(self) -> None:
        hosts = [serving for name, (_, serving) in self.running.items() if name.startswith("host-")]
        self.away_at_once = max(self.away_at_once, 3 - sum(hosts))
        self.database.clock.step(SECOND)
        for name, (info, serving) in list(self.running.items()):
            if info.release != self.broken or name.startswith("host-0"):
                await self.fleet.announce(info, serving=serving)
            self.running[name] = (info, info.release != self.broken)

    def _ensure(self, name: str, node: str) -> None:
        if name not in self.running:
            self._last_id += 1
            info = ProcessInfo(
                process_id=self._last_id.to_bytes(16, "big"), name=name, node=node, release=self.release, newest=1
            )
            self.running[name] = (info, False)

    def where(self) -> dict[str, str]:
        return {name: info.node for name, (info, _) in sorted(self.running.items()) if name.startswith("host-")}

    def releases(self) -> set[str]:
        return {info.release for info, _ in self.running.values()}


def a_supervisor(machines: Machines, hosts: int = 3) -> Supervisor:
    return Supervisor(
        store=MemorySupervisorStore(machines.database),
        fleet=machines.fleet,
        control=machines,
        release=machines.release,
        initial_hosts=hosts,
        settled_after_s=0.0,
        dead_after_s=0.0,
    )


async def rounds(supervisor: Supervisor, machines: Machines, count: int = 40) -> None:
    for _ in range(count):
        await supervisor.round()
        await machines.after_a_round()


def shares(machines: Machines) -> list[int]:
    owned: dict[HostId, int] = {}
    for owner in machines.database.tables.shards.values():
        owned[owner.host_id] = owned.get(owner.host_id, 0) + 1
    return sorted(owned.values())


async def test_hosts_are_spread_and_a_cluster_in_order_is_left_alone() -> None:
    machines = Machines(A, B, C)
    supervisor = a_supervisor(machines)
    await rounds(supervisor, machines, 5)
    assert sorted(machines.where().values()) == [A, B, C]
    before = dict(machines.running)
    await rounds(supervisor, machines, 20)
    assert machines.running == before
    assert shares(machines) == [85, 85, 86]


async def test_a_new_release_replaces_every_process_one_host_at_a_time() -> None:
    """No shard is ever given to a host that does not serve, no host ended that owns shards."""
    machines = Machines(A, B, C)
    await rounds(a_supervisor(machines), machines, 5)
    machines.release, machines.away_at_once = "2.0", 0
    await rounds(a_supervisor(machines), machines)
    assert machines.releases() == {"2.0"}
    assert machines.away_at_once == 1
    assert shares(machines) == [85, 85, 86]
    assert sorted(machines.where().values()) == [A, B, C]


async def test_an_only_host_is_replaced_without_a_pause() -> None:
    machines = Machines(A)
    await rounds(a_supervisor(machines, 1), machines, 5)
    machines.release = "2.0"
    await rounds(a_supervisor(machines, 1), machines)
    assert machines.releases() == {"2.0"}
    assert list(machines.where()) == ["host-0"]
    assert shares(machines) == [256]


async def test_a_draining_node_is_emptied_and_stays_empty() -> None:
    machines = Machines(A, B, C)
    supervisor = a_supervisor(machines)
    await rounds(supervisor, machines, 5)
    machines.usable[A] = False
    await rounds(supervisor, machines)
    assert sorted(machines.where().values()) in ([B, B, C], [B, C, C])
    assert machines.running["relay"][0].node == B
    before = dict(machines.running)
    await rounds(supervisor, machines, 10)
    assert machines.running == before


async def test_a_lost_node_is_made_up_for_and_gets_its_share_when_it_is_back() -> None:
    machines = Machines(A, B, C)
    supervisor = a_supervisor(machines)
    await rounds(supervisor, machines, 5)
    await machines.lose(C)
    await rounds(supervisor, machines)
    assert sorted(machines.where().values()) in ([A, A, B], [A, B, B])
    machines.usable[C] = True
    await rounds(supervisor, machines)
    assert sorted(machines.where().values()) == [A, B, C]
    assert shares(machines) == [85, 85, 86]


async def test_a_release_under_which_nothing_serves_can_be_taken_back() -> None:
    """R-OPS-3: whoever starts the former settings again gets the processes of those, whatever the broken ones own."""
    machines = Machines(A, B, C)
    await rounds(a_supervisor(machines), machines, 5)
    machines.release = machines.broken = "2.0"
    await rounds(a_supervisor(machines), machines, 20)
    assert "2.0" in machines.releases()
    machines.release = "1.0"
    await rounds(a_supervisor(machines), machines, 100)
    assert machines.releases() == {"1.0"}
    assert shares(machines) == [85, 85, 86]


async def test_a_service_that_had_to_be_killed_does_not_end_its_successor() -> None:
    machines = Machines(A)
    await rounds(a_supervisor(machines, 1), machines, 5)
    machines.release, machines.kills = "2.0", True
    supervisor = a_supervisor(machines, 1)
    while "relay" not in machines.running or machines.running["relay"][0].release == "1.0":
        with suppress(ControlFailed):
            await supervisor.round()
        await machines.after_a_round()
    machines.kills = False
    successor = machines.running["relay"][0]
    await rounds(supervisor, machines, 5)
    assert machines.running["relay"][0] == successor
    assert machines.ended.count("relay") == 1


async def test_where_no_node_is_usable_everything_stays() -> None:
    """It would be started nowhere."""
    machines = Machines(A)
    supervisor = a_supervisor(machines, 1)
    await rounds(supervisor, machines, 5)
    before = dict(machines.running)
    machines.usable[A] = False
    await rounds(supervisor, machines, 5)
    assert machines.running == before


async def test_what_died_without_a_word_is_forgotten_in_the_end() -> None:
    """Promise 6: a process that dies and is started again for ever leaves no table without end."""
    machines = Machines(A)
    await rounds(a_supervisor(machines, 1), machines, 2)
    for number in range(50):
        await machines.fleet.announce(
            ProcessInfo(process_id=bytes([number]) * 16, name="host-7", node=A, release="1.0", newest=1), serving=False
        )
    machines.database.clock.step(3_700 * SECOND)
    await rounds(a_supervisor(machines, 1), machines, 2)
    assert len(machines.database.tables.processes) == len(machines.running)
