"""Keeps the wanted number of hosts running and the shards spread over them.

Everything it knows stands in Postgres and in Ray: a supervisor that dies is created again and goes on. Each round looks
at what is and takes the next step; every step is idempotent.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable
from typing import Protocol

from actors.domain.ids import HostId, ShardId
from actors.placement import plan_moves
from actors.ports import StoreUnavailable, SupervisorStore

log = logging.getLogger(__name__)

ROUND_EVERY_S = 1.0
MOVES_PER_ROUND = 64
"""Shards on their way at once, so that most users never wait for a move."""
PARTITIONS_EVERY_S = 3600.0


class ControlFailed(Exception):
    """The control plane could not do it now. The next round tries again."""


class ProcessControl(Protocol):
    """What the supervisor asks of the control plane. Each call is bounded in time and may raise ``ControlFailed``."""

    async def running_hosts(self) -> Collection[HostId]:
        """Hosts whose process exists, serving or not."""
        ...

    async def ensure_host(self, host_id: HostId) -> None:
        """Starts the host's process if there is none."""
        ...

    async def give(self, host_id: HostId, shard_ids: Iterable[ShardId], to_host: HostId) -> None:
        """Asks a host to give shards away."""
        ...

    async def stop_host(self, host_id: HostId) -> None:
        """Ends a host's process for good."""
        ...

    async def ensure_services(self) -> None:
        """Starts the other processes of the service (ingress, relay) that do not exist."""
        ...


class Supervisor:
    """``run`` until it is cancelled."""

    def __init__(self, *, store: SupervisorStore, control: ProcessControl, initial_hosts: int) -> None:
        self._store = store
        self._control = control
        self._initial_hosts = initial_hosts
        self._partitions_kept_at: float | None = None
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
        wanted = [HostId(number) for number in range(await self._store.wanted_hosts())]
        owners = {shard: owner.host_id for shard, owner in (await self._store.read_map()).shards.items()}
        needed = sorted({*wanted, *owners.values()})
        await self._store.ensure_hosts(needed)
        for host_id in needed:
            await self._control.ensure_host(host_id)
        await self._control.ensure_services()
        plan = plan_moves(owners, wanted)
        self.wanted_hosts, self.shards_to_move = len(wanted), len(plan)
        moves: dict[tuple[HostId, HostId], list[ShardId]] = {}
        for move in plan[:MOVES_PER_ROUND]:
            moves.setdefault((move.from_host, move.to_host), []).append(move.shard_id)
        for (from_host, to_host), shard_ids in moves.items():
            log.info("moving shards", extra={"from": from_host, "to": to_host, "shards": len(shard_ids)})
            await self._control.give(from_host, shard_ids, to_host)
        for host_id in await self._control.running_hosts():
            if host_id not in needed:
                await self._control.stop_host(host_id)
        await self._keep_partitions()
        self.rounds += 1

    async def _keep_partitions(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._partitions_kept_at is None or now - self._partitions_kept_at >= PARTITIONS_EVERY_S:
            await self._store.keep_partitions()
            self._partitions_kept_at = now
