"""Keeps the wanted number of hosts running, spread over the nodes, and the shards spread over the hosts.

Everything it knows stands in Postgres and in Ray: a supervisor that dies is created again and goes on. Each round looks
at what is and takes the next step; every step is idempotent.

It also rolls: a process of another release, or on a node that is being emptied or too full, is replaced, one after
another (``actors.rollout``).
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from actors.domain.ids import HostId, ShardId
from actors.fleet.ports import FleetStore, RunningProcess
from actors.placement import Move, plan_moves
from actors.ports import StoreUnavailable, SupervisorStore
from actors.rollout import HOST_PREFIX, Node, Step, hosts_in, latest, next_step

log = logging.getLogger(__name__)

ROUND_EVERY_S = 1.0
MOVES_PER_ROUND = 64
"""Shards on their way at once, so that most users never wait for a move."""
TIDY_EVERY_S = 3600.0
DEAD_AFTER_S = 60.0
"""A process that is not heard of, or a host of another release that does not serve, is ended after so long, whatever it
owns, and started as things are now: Ray starts it again only as it was first started, which may be with settings under
which it can never serve."""
SETTLED_AFTER_S = 10.0
"""A node that has just come gets new hosts at once; running ones are moved to it when it has stayed for so long."""


class ControlFailed(Exception):
    """The control plane could not do it now. The next round tries again."""


class ProcessControl(Protocol):
    """What the supervisor asks of the control plane. Each call is bounded in time and may raise ``ControlFailed``."""

    async def nodes(self) -> Mapping[str, bool]:
        """The living nodes by address, and whether processes may be put there: a draining one is to be emptied."""
        ...

    async def running_hosts(self) -> Collection[HostId]:
        """Hosts whose process exists, serving or not."""
        ...

    async def ensure_host(self, host_id: HostId, node: str | None) -> None:
        """Starts the host's process if there is none, on that node if it can be."""
        ...

    async def give(self, host_id: HostId, shard_ids: Iterable[ShardId], to_host: HostId) -> None:
        """Asks a host to give shards away."""
        ...

    async def stop_host(self, host_id: HostId) -> None:
        """Ends a host's process for good."""
        ...

    async def ensure_services(self) -> Collection[str]:
        """Starts the other processes of the service (ingress, relay) that do not exist; the names of all of them."""
        ...

    async def stop_service(self, name: str) -> None:
        """Ends one of them for good."""
        ...


class Supervisor:
    """``run`` until it is cancelled. ``release`` is what processes are started as by ``control``."""

    def __init__(
        self,
        *,
        store: SupervisorStore,
        fleet: FleetStore,
        control: ProcessControl,
        release: str,
        initial_hosts: int,
        settled_after_s: float = SETTLED_AFTER_S,
        dead_after_s: float = DEAD_AFTER_S,
    ) -> None:
        self._dead_after_s = dead_after_s
        self._missed_since: dict[str, float] = {}
        self._settled_after_s = settled_after_s
        self._store = store
        self._fleet = fleet
        self._control = control
        self._release = release
        self._initial_hosts = initial_hosts
        self._tidied_at: float | None = None
        self._nodes_since: dict[str, float] = {}
        self.rounds = 0
        self.rounds_failed = 0
        self.wanted_hosts = 0
        self.shards_to_move = 0

    async def run(self) -> None:
        while True:
            try:
                await self.round()
            except (StoreUnavailable, ControlFailed) as failed:
                self.rounds_failed += 1
                log.warning("a round of the supervisor failed", extra={"reason": str(failed)})
            await asyncio.sleep(ROUND_EVERY_S)

    async def round(self) -> None:
        """One look at what is, and the next step towards what is wanted."""
        await self._store.prepare(self._initial_hosts)
        await self._tidy_up()
        wanted = [HostId(number) for number in range(await self._store.wanted_hosts())]
        owners = {shard: owner.host_id for shard, owner in (await self._store.read_map()).shards.items()}
        processes = latest(await self._fleet.processes())
        hosts = hosts_in(processes)
        nodes = await self._look_at_nodes()
        step = next_step(wanted, hosts, nodes, self._release)
        needed = sorted({*wanted, *step.owners, *owners.values()})
        await self._store.ensure_hosts(needed)
        for host_id in needed:
            await self._control.ensure_host(host_id, step.nodes.get(host_id))
        services = await self._control.ensure_services()
        plan = plan_moves(owners, step.owners)
        self.wanted_hosts, self.shards_to_move = len(wanted), len(plan)
        await self._move(plan, step.ready)
        lost = [host for host in needed if host not in step.ready and not self._is_ours(hosts.get(host))]
        dead = self._dead([*(f"{HOST_PREFIX}{host}" for host in lost), *(set(services) - processes.keys())])
        await self._retire(
            step, needed, set(owners.values()), {host for host in lost if f"{HOST_PREFIX}{host}" in dead}
        )
        await self._renew_a_service(services, processes, nodes, dead)
        self.rounds += 1

    async def _look_at_nodes(self) -> list[Node]:
        now = asyncio.get_running_loop().time()
        seen = await self._control.nodes()
        self._nodes_since = {address: self._nodes_since.get(address, now) for address in seen}
        return [
            Node(address=address, usable=usable, settled=now - self._nodes_since[address] >= self._settled_after_s)
            for address, usable in seen.items()
        ]

    async def _move(self, plan: Sequence[Move], ready: Collection[HostId]) -> None:
        """Only to hosts that serve: users of a shard would wait for one that starts."""
        moves: dict[tuple[HostId, HostId], list[ShardId]] = {}
        for move in [move for move in plan if move.to_host in ready][:MOVES_PER_ROUND]:
            moves.setdefault((move.from_host, move.to_host), []).append(move.shard_id)
        for (from_host, to_host), shard_ids in moves.items():
            log.info("moving shards", extra={"from": from_host, "to": to_host, "shards": len(shard_ids)})
            await self._control.give(from_host, shard_ids, to_host)

    def _is_ours(self, process: RunningProcess | None) -> bool:
        return process is not None and process.info.release == self._release

    def _dead(self, missed: Iterable[str]) -> set[str]:
        """Of the processes that are missed now, those that have been for long."""
        now = asyncio.get_running_loop().time()
        self._missed_since = {name: self._missed_since.get(name, now) for name in missed}
        dead = {name for name, since in self._missed_since.items() if now - since > self._dead_after_s}
        for name in dead:
            del self._missed_since[name]  # its successor gets as long
        return dead

    async def _retire(
        self, step: Step, needed: Collection[HostId], owning: Collection[HostId], dead: Collection[HostId]
    ) -> None:
        """Ends hosts that are not needed, one that is to be replaced once it owns nothing, and dead ones: the next
        round starts them again."""
        for host_id in await self._control.running_hosts():
            if host_id not in needed or host_id in dead or (host_id == step.renew and host_id not in owning):
                log.info("ending a host", extra={"host": host_id, "nodes": str(step.nodes)})
                await self._control.stop_host(host_id)

    async def _renew_a_service(
        self,
        services: Collection[str],
        processes: Mapping[str, RunningProcess],
        nodes: Collection[Node],
        dead: Collection[str],
    ) -> None:
        """One a round; the next one starts it again. Where no node is usable there is nowhere to go to."""
        usable = {node.address for node in nodes if node.usable}
        emptied = {node.address for node in nodes} - usable if usable else set()
        for name in services:
            process = processes.get(name)
            if name in dead or (process is not None and (not self._is_ours(process) or process.info.node in emptied)):
                log.info("replacing a process", extra={"service": name})
                try:
                    await self._control.stop_service(name)
                finally:  # also of one that had to be killed: its record would end its successor
                    if process is not None:
                        await self._fleet.withdraw(process.info.process_id)
                return

    async def _tidy_up(self) -> None:
        """So that nothing of the past piles up (promise 6)."""
        now = asyncio.get_running_loop().time()
        if self._tidied_at is None or now - self._tidied_at >= TIDY_EVERY_S:
            await self._store.keep_partitions()
            await self._fleet.forget_silent()
            self._tidied_at = now
