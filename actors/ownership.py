"""Which shards this host serves: finding new ones, loading them, giving them away (ARCHITECTURE.md, "Moving a shard").

A shard is served only after its ownership row was read and then, in a new statement, its live sessions. From *leaving*
on nothing in it is decided: its commands are parked here until the flush that carries the gift is over, and go on, or
are sent after the shard with its new term.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from actors.clock import ServiceClock
from actors.domain.ids import HostId, ShardId, Term, UserId
from actors.domain.model import NOBODY, LiveSession
from actors.domain.replies import Reply, Unavailable, WrongShard
from actors.domain.user import with_live_session
from actors.expiry import Expiry
from actors.lifecycle import ShardState
from actors.mailbox import Mailbox, Pending
from actors.ports import Deposed, EntityLoader, HostStore, ShardGift, ShardOwner, StoreUnavailable
from actors.shard_loading import load_shards
from actors.territory import Shard, Territory

log = logging.getLogger(__name__)

READ_EVERY_S = 2.0
READ_PAUSE_S = 0.05
"""Between two readings, however often one is asked for."""


class FlushRequest(Protocol):
    """Asks for a flush soon."""

    def __call__(self) -> None: ...


class Ownership:
    """The host's view of ``shards``. Raises ``Deposed`` from ``run`` when a shard it serves belongs to another."""

    def __init__(
        self,
        *,
        host_id: HostId,
        store: HostStore,
        loader: EntityLoader,
        territory: Territory,
        mailbox: Mailbox,
        expiry: Expiry,
        clock: ServiceClock,
        ask_for_flush: FlushRequest,
    ) -> None:
        self._host_id = host_id
        self._store = store
        self._loader = loader
        self._territory = territory
        self._mailbox = mailbox
        self._expiry = expiry
        self._clock = clock
        self._ask_for_flush = ask_for_flush
        self._asked = asyncio.Event()
        self._strangers: list[Pending] = []
        self._loaded: deque[tuple[Shard, Sequence[tuple[UserId, LiveSession]]]] = deque()
        self._gifts: dict[ShardId, ShardGift] = {}
        self._given = 0

    def park(self, pending: Pending) -> None:
        """A command of a shard that is not served now: it waits for the shard, or for a reading that says whose it is.

        Parked commands count in the mailbox, which bounds them; their time goes on.
        """
        shard = self._territory.get(pending.shard_id)
        if shard is None or pending.term > shard.term:
            self._strangers.append(pending)
            self._asked.set()
        else:
            shard.parked.append(pending)

    def install(self, shard: Shard, sessions: Sequence[tuple[UserId, LiveSession]]) -> None:
        """Puts loaded live sessions into a shard that is being loaded. At a batch boundary only."""
        users = shard.users
        for user_id, session in sessions:
            users[user_id] = with_live_session(users.get(user_id, NOBODY), session)
        self._territory.live_sessions += len(sessions)

    def begin_serving(self, shard: Shard) -> None:
        """The shard's state is complete: from now on its clients are heard. At a batch boundary only."""
        for user_id, user in shard.users.items():
            for session in user.live:
                self._expiry.watch(user_id, session)
        shard.served_since = self._clock.now()
        shard.lifecycle.move(ShardState.SERVING)
        self._resume(shard)

    def at_boundary(self) -> None:
        """A shard that was loaded begins to be served, and what waited for it goes on. One at a time: the users of
        other shards are not to wait until all of them are in memory."""
        if self._loaded:
            shard, sessions = self._loaded.popleft()
            self.install(shard, sessions)
            self.begin_serving(shard)
        if self._loaded:
            self._mailbox.wake()

    def give(self, shard_ids: Iterable[ShardId], to_host: HostId) -> int:
        """Begins to give shards away, with the next flush; how many are on their way. Asking again changes nothing."""
        for shard_id in shard_ids:
            shard = self._territory.get(shard_id)
            if shard is not None and shard.serving and to_host != self._host_id:
                shard.lifecycle.move(ShardState.LEAVING)
                self._gifts[shard_id] = ShardGift(shard_id, shard.term, to_host)
        if self._gifts:
            self._ask_for_flush()
        return len(self._gifts)

    def take_gifts(self) -> list[ShardGift]:
        """What the next flush is to give away."""
        gifts, self._gifts = list(self._gifts.values()), {}
        return gifts

    def gifts_settled(self, gifts: Iterable[ShardGift], given: frozenset[ShardId]) -> None:
        """The flush is over: given shards are dropped and their commands sent after them, the others go on."""
        for gift in gifts:
            shard = self._territory.get(gift.shard_id)
            if shard is None:
                continue
            if gift.shard_id in given:
                parked, shard.parked = shard.parked, []
                self._territory.forget(shard)
                self._given += 1
                self._answer_all(parked, WrongShard(Term(gift.term + 1)))
            else:
                shard.lifecycle.move(ShardState.SERVING)
                self._resume(shard)

    async def run(self) -> None:
        """Reads ``shards`` every two seconds, and when a command of an unknown shard comes."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(READ_EVERY_S):
                    await self._asked.wait()
            self._asked.clear()
            try:
                await self._read()
            except StoreUnavailable as away:
                log.warning("shards could not be read", extra={"reason": str(away)})
                self._answer_all(self._take_strangers(), Unavailable("the map of shards could not be read"))
            await asyncio.sleep(READ_PAUSE_S)

    async def _read(self) -> None:
        strangers, given = self._take_strangers(), self._given
        try:
            owners = await self._store.read_shards()
        except StoreUnavailable:
            self._strangers = strangers + self._strangers
            raise
        if self._given != given:
            # A reading from before a gift would say that the shard is ours: to serve it again would make two owners.
            self._strangers = strangers + self._strangers
            self._asked.set()
            return
        new = self._compare(owners)
        for pending in strangers:
            if (shard := self._territory.get(pending.shard_id)) is None:
                owner = owners.get(pending.shard_id)
                self._mailbox.answer(pending, WrongShard(owner.term if owner else Term(0)))
            elif shard.serving:
                self._mailbox.put_back([pending])
            else:
                shard.parked.append(pending)
        if new:
            await self._load(new)

    def _compare(self, owners: Mapping[ShardId, ShardOwner]) -> list[Shard]:
        """New shards of ours, in state *loading*; and those whose loading failed before."""
        loading = []
        for owner in owners.values():
            shard = self._territory.get(owner.shard_id)
            mine = owner.host_id == self._host_id
            if shard is None and mine:
                shard = Shard(owner.shard_id, owner.term)
                self._territory.add(shard)
            elif shard is not None and shard.serving and (not mine or owner.term != shard.term):
                raise Deposed(f"shard {owner.shard_id} belongs to host {owner.host_id} at term {owner.term}")
            if shard is not None and shard.lifecycle.state is ShardState.LOADING and not self._is_loaded(shard):
                loading.append(shard)
        return loading

    async def _load(self, shards: list[Shard]) -> None:
        def loaded(shard: Shard, sessions: Sequence[tuple[UserId, LiveSession]]) -> None:
            self._loaded.append((shard, sessions))
            self._mailbox.wake()

        await load_shards(self._loader, shards, loaded)
        log.info("shards loaded", extra={"shards": len(shards)})

    def _is_loaded(self, shard: Shard) -> bool:
        return any(shard is loaded for loaded, _ in self._loaded)

    def _resume(self, shard: Shard) -> None:
        parked, shard.parked = shard.parked, []
        self._mailbox.put_back(parked)

    def _take_strangers(self) -> list[Pending]:
        strangers, self._strangers = self._strangers, []
        return strangers

    def _answer_all(self, commands: Iterable[Pending], reply: Reply) -> None:
        for pending in commands:
            self._mailbox.answer(pending, reply)
