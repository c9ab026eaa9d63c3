"""Finds the host of a user and keeps trying for a bounded time: the doors' way to the actors.

Nothing on a request's way asks Ray or Postgres: the map of hosts and shards is read at the start, when a host says
``WrongShard``, and when a link breaks. A command whose outcome is unknown is sent again with the same command id; one
that was outstanding when its host died twice is not sent a third time: it might be what kills it. A link that breaks
without a death (the next one leads to the same host at the same epoch) does not count.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct

from actors.certificates import CHECK_S
from actors.change_signal import ChangeSignal
from actors.domain.commands import Command
from actors.domain.ids import SHARD_COUNT, CommandId, HostId, ShardId, UserId, shard_of
from actors.domain.replies import Overloaded, Reply, Unavailable, WrongShard
from actors.formats import Formats
from actors.link.client import DoorLink, LinkBroken, OnReply, connect
from actors.link.handshake import Credentials, Rejected, Role
from actors.many_access import OnAnswers, Pair, ask_hosts
from actors.ports import ClusterMap, ClusterMapReader, HostAddress, ShardOwner, StoreUnavailable
from actors.release import release_formats
from actors.supervised import supervised

log = logging.getLogger(__name__)

MAP_PAUSE_S = 0.05
"""Between two readings of the map, however many ask."""
MAP_EVERY_S = 5.0
UNREACHABLE_MAP_EVERY_S = 0.25
RECONNECT_PAUSE_S = 0.1
MAX_DEATHS = 2


class RouterLimits(Struct, frozen=True, kw_only=True):
    """Calls that may be outstanding on one link; more are ``Overloaded``."""

    per_link: int = 20_000


class RouterMetrics:
    """Counted since the process began."""

    def __init__(self) -> None:
        self.links_lost = 0
        self.resent = 0
        self.wrong_shard = 0
        self.map_reads = 0
        self.gave_up = 0


class Router:
    """``start`` returns at once; ``map_complete`` tells when every shard has an owner with a link."""

    def __init__(
        self,
        *,
        reader: ClusterMapReader,
        credentials: Credentials,
        role: Role,
        limits: RouterLimits,
        formats: Formats | None = None,
    ) -> None:
        """``formats``: this release's, unless the process shares its own."""
        self._formats = formats or release_formats()
        self._reader = reader
        self._credentials = credentials
        self._role: Role = role
        self._limits = limits
        self._map = ClusterMap(hosts={}, shards={})
        self._owned: Counter[HostId] = Counter()
        self._links: dict[HostId, DoorLink] = {}
        self._connecting: dict[HostId, asyncio.Task[None]] = {}
        self._asked = asyncio.Event()
        self._changed = ChangeSignal()
        self._task: asyncio.Task[None] | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._loop_time = asyncio.get_running_loop().time
        self.metrics = RouterMetrics()
        self._was_complete = False

    @property
    def unowned_shards(self) -> int:
        """Shards that no reachable host serves, as far as this router knows."""
        return SHARD_COUNT - sum(self._owned[host_id] for host_id in self._links)

    @property
    def map_complete(self) -> bool:
        """Whether there has been a complete map of shards and a link to every owner, once (R-OBS-1, ``/readyz``)."""
        return self._was_complete

    def start(self) -> None:
        self._task = asyncio.create_task(self._follow_map(), name="map of shards")
        if (certificates := self._credentials.certificates) is not None:
            self._renewal = asyncio.create_task(
                supervised("link certificate", certificates.refresh, CHECK_S), name="link certificate"
            )

    async def close(self) -> None:
        """Ends every link; what is outstanding fails."""
        tasks = [task for task in (self._task, self._renewal, *self._connecting.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for link in list(self._links.values()):
            link.close()

    def try_call(
        self, user_id: UserId, command: Command, on_reply: OnReply, *, timeout_s: float, trace: str | None = None
    ) -> bool:
        """One attempt, at once and with nothing to wait for; False if that is not possible now, and nothing happened.

        For a command without an id that may be sent again whatever became of it. ``on_reply`` gets the actor's answer,
        or None when it takes the long way, ``call``, to learn it: the link broke, or the shard has moved.
        """
        owner = self._map.shards.get(shard_of(user_id))
        link = None if owner is None else self._free_link(owner.host_id)
        if owner is None or link is None:
            return False

        def answer(reply: Reply | None) -> None:
            on_reply(None if type(reply) is WrongShard else reply)

        link.ask(user_id, command, answer, term=owner.term, deadline=self._loop_time() + timeout_s, trace=trace)
        return True

    def check_many(
        self, pairs: Sequence[Pair], on_answers: OnAnswers, *, timeout_s: float, trace: str | None = None
    ) -> None:
        """One attempt: see ``many_access``."""
        ask_hosts(pairs, on_answers, self._map.shards, self._free_link, timeout_s=timeout_s, trace=trace)

    def _free_link(self, host_id: HostId) -> DoorLink | None:
        link = self._links.get(host_id)
        return None if link is None or link.congested or link.outstanding >= self._limits.per_link else link

    async def call(
        self,
        user_id: UserId,
        command: Command,
        *,
        timeout_s: float,
        command_id: CommandId | None = None,
        trace: str | None = None,
    ) -> Reply:
        """The actor's answer, or what kept it from answering in time. Never raises for that, never ``WrongShard``."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        shard_id = shard_of(user_id)
        lost: DoorLink | None = None
        in_doubt = False
        deaths = 0
        while True:
            owner = self._map.shards.get(shard_id)
            link = None if owner is None else self._links.get(owner.host_id)
            if owner is None or link is None:
                if not await self._wait_for_change(deadline, self._changed.version):
                    return self._give_up("no host serves this user now", unknown=in_doubt)
                continue
            if link.congested or link.outstanding >= self._limits.per_link:
                return Overloaded("link")
            if lost is not None and (lost.host_id, lost.epoch) != (link.host_id, link.epoch):
                deaths += lost.host_id == link.host_id  # the shard moving on meanwhile is no death
                lost = None
                if deaths >= MAX_DEATHS:
                    return self._give_up("its host died under it, twice", unknown=True, suspect=True)
            version = self._changed.version
            try:
                reply = await link.call(
                    user_id, command, term=owner.term, deadline=deadline, command_id=command_id, trace=trace
                )
            except LinkBroken:
                lost, in_doubt = link, True
                self.metrics.resent += 1
                continue
            if not isinstance(reply, WrongShard):
                if isinstance(reply, Overloaded | Unavailable) and in_doubt:
                    return self._give_up(f"an attempt before was lost, and now: {reply}", unknown=True)
                return reply
            self.metrics.wrong_shard += 1
            if not await self._wait_for_newer(shard_id, owner, deadline, version):
                return self._give_up("the user's shard is on its way", unknown=in_doubt)

    def _give_up(self, reason: str, *, unknown: bool, suspect: bool = False) -> Unavailable:
        self.metrics.gave_up += 1
        return Unavailable(reason, unknown=unknown, suspect=suspect)

    async def _wait_for_newer(self, shard_id: ShardId, asked: ShardOwner, deadline: float, version: int) -> bool:
        """After ``WrongShard``: until the map says something else than what was asked."""
        while self._map.shards.get(shard_id) == asked:
            if not await self._wait_for_change(deadline, version):
                return False
            version = self._changed.version
        return True

    async def _wait_for_change(self, deadline: float, version: int) -> bool:
        """Until the map or the links change after ``version``; False when the time is up."""
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            return False
        self._asked.set()
        return await self._changed.wait(version, left)

    async def _follow_map(self) -> None:
        while True:
            pause = MAP_EVERY_S if not self.unowned_shards else UNREACHABLE_MAP_EVERY_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._asked.wait()
            self._asked.clear()
            try:
                self._take_map(await self._reader.read_map())
                self.metrics.map_reads += 1
            except StoreUnavailable as away:
                log.warning("the map could not be read; the last one stays", extra={"reason": str(away)})
            await asyncio.sleep(MAP_PAUSE_S)

    def _take_map(self, new: ClusterMap) -> None:
        """Who waits is woken when something is different, not whenever the map was read."""
        changed, self._map = new != self._map, new
        if changed:
            self._owned = Counter(owner.host_id for owner in new.shards.values())
        for host_id, link in list(self._links.items()):
            host = new.hosts.get(host_id)
            if host is None or host.epoch != link.epoch:
                link.close()
        for host_id in self._owned:
            host = new.hosts.get(host_id)
            if host is not None and host.address and host_id not in self._links and host_id not in self._connecting:
                self._connecting[host_id] = asyncio.create_task(self._connect(host), name=f"link to host {host_id}")
        if changed:
            self._note_change()

    async def _connect(self, host: HostAddress) -> None:
        try:
            link = await connect(
                host.address or "",
                credentials=self._credentials,
                host_id=host.host_id,
                epoch=host.epoch,
                role=self._role,
                on_lost=self._link_lost,
                formats=self._formats,
            )
            self._links[host.host_id] = link
            self._note_change()
        except (LinkBroken, Rejected) as failed:
            log.info("a host is not reachable", extra={"host": host.host_id, "reason": str(failed)})
            await asyncio.sleep(RECONNECT_PAUSE_S)
        finally:
            del self._connecting[host.host_id]
            if host.host_id not in self._links:
                self._asked.set()

    def _link_lost(self, link: DoorLink) -> None:
        if self._links.get(link.host_id) is link:
            del self._links[link.host_id]
            self.metrics.links_lost += 1
            self._asked.set()
            self._note_change()

    def _note_change(self) -> None:
        if not self._was_complete and not self.unowned_shards:
            self._was_complete = True
        self._changed.set()
