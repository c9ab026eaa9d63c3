"""Brings the tables up with the journal, every second or when somebody waits for it; one flush at a time.

A flush takes the images of all dirty rows at a commit boundary and commits them in one transaction with the outbox, the
progress, the gifts of shards and the cut of the journal. Tables therefore always equal "all events up to
``flushed_seq``".
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from msgspec import Struct

from actors.copies.keeper import CopyKeeper
from actors.domain.ids import HostId, Seq, ShardId, UserId, shard_of
from actors.domain.model import NOBODY, User
from actors.domain.replies import Overloaded, Reply, Unavailable
from actors.flush_rows import FlushRows
from actors.mailbox import Mailbox, Pending
from actors.metrics import HostMetrics
from actors.ownership import Ownership
from actors.ports import CommitRefused, FlushBatch, HostStore, OutcomeUnknown, ShardGift, StoreUnavailable
from actors.territory import Territory
from actors.write_gate import WriteGate

log = logging.getLogger(__name__)

RECOVERY_PAUSE_S = (0.05, 1.0)
BACKLOG_EVERY_S = 5.0


class FlushLimits(Struct, frozen=True, kw_only=True):
    """``interval_s`` between two flushes when nobody asks; the marks above which writes are refused."""

    interval_s: float = 1.0
    journal_high_water_bytes: int = 256 * 2**20
    outbox_high_water_rows: int = 1_000_000


class FlushLoop:
    """Runs until it is cancelled or the host is deposed."""

    def __init__(
        self,
        *,
        host_id: HostId,
        store: HostStore,
        rows: FlushRows,
        territory: Territory,
        ownership: Ownership,
        mailbox: Mailbox,
        gate: WriteGate,
        metrics: HostMetrics,
        limits: FlushLimits,
        asked: asyncio.Event,
        copies: CopyKeeper | None,
        on_doubt: Callable[[bool], None],
        loop_time: Callable[[], float],
    ) -> None:
        self._host_id = host_id
        self._store = store
        self._rows = rows
        self._territory = territory
        self._ownership = ownership
        self._mailbox = mailbox
        self._gate = gate
        self._metrics = metrics
        self._limits = limits
        self._asked = asked
        self._copies = copies
        self._on_doubt = on_doubt
        self._loop_time = loop_time
        self._settling: list[tuple[Seq, Pending, Reply]] = []
        self._next_backlog = 0.0
        self._stopping = False
        self._refused = False

    def settle(self, pending: Pending, reply: Reply) -> None:
        """Answers once the tables show all that is committed now; asks for a flush."""
        self._settling.append((self._rows.committed_seq, pending, reply))
        self._asked.set()

    def after_commit(self) -> None:
        """A long journal is flushed at once; above the mark writes are refused until it was."""
        waiting, mark = self._rows.journal_bytes, self._limits.journal_high_water_bytes
        if waiting >= mark:
            self._gate.set("journal", Overloaded("journal"))
        if waiting >= mark // 4:
            self._asked.set()

    async def run(self, boundary: Callable[[], Awaitable[None]]) -> None:
        """``boundary`` returns when no commit is in flight. Ends after ``stop`` with a last flush.

        Raises ``Deposed``.
        """
        while not self._stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.interval_s):
                    await self._asked.wait()
            self._asked.clear()
            await self.flush(boundary)
            self._answer_settled()
            await self._watch_backlog()

    def stop(self) -> None:
        """Lets ``run`` end after one more flush."""
        self._stopping = True
        self._asked.set()

    async def flush(self, boundary: Callable[[], Awaitable[None]]) -> None:
        """One flush, if anything is dirty, to be given away or to be copied, or to see whether a refusal is over."""
        gifts = self._ownership.take_gifts()
        if gifts:
            await boundary()
        copies_wait = self._copies is not None and self._copies.waiting
        if not gifts and not self._rows.behind and not self._refused and not copies_wait:
            return
        began = self._loop_time()
        batch = self._rows.begin(self._user_of, gifts)
        if self._copies is not None:
            self._copies.begin(batch)
        try:
            given = await self._store.flush(batch)
        except CommitRefused as refused:
            log.error("a flush was refused; writes are refused until one succeeds", extra={"reason": str(refused)})
            self._metrics.flushes_refused += 1
            self._refused = True
            self._gate.set("flush", Unavailable("the tables refuse the flush", retry_after_s=5))
            self._settled(batch, False, frozenset(), gifts)
            return
        except OutcomeUnknown as unknown:
            done, given = await self._recover(batch, unknown)
            self._settled(batch, done, given, gifts)
            return
        self._settled(batch, True, given, gifts)
        self._metrics.flush_done(batch, self._loop_time() - began)

    def _settled(self, batch: FlushBatch, done: bool, given: frozenset[ShardId], gifts: list[ShardGift]) -> None:
        if done:
            self._rows.done()
            self._refused = False
            self._gate.set("flush", None)
            if self._rows.journal_bytes < self._limits.journal_high_water_bytes:
                self._gate.set("journal", None)
        else:
            self._rows.failed()
        if self._copies is not None:
            self._copies.settled(done)
        self._ownership.gifts_settled(gifts, given)

    async def _recover(self, batch: FlushBatch, unknown: OutcomeUnknown) -> tuple[bool, frozenset[ShardId]]:
        log.warning("a flush is in doubt", extra={"up_to": batch.up_to, "reason": str(unknown)})
        self._metrics.flushes_in_doubt += 1
        self._on_doubt(True)
        pause, longest = RECOVERY_PAUSE_S
        while True:
            try:
                flushed_seq, owners = await self._store.recover_flush()
                break
            except StoreUnavailable:
                self._answer_settled()
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)
        self._on_doubt(False)
        given = frozenset(gift.shard_id for gift in batch.gifts if owners[gift.shard_id].host_id != self._host_id)
        done = bool(given) if batch.gifts and batch.up_to == self._rows.flushed_seq else flushed_seq >= batch.up_to
        log.info("a flush in doubt was resolved", extra={"up_to": batch.up_to, "done": done})
        return done, given

    def _answer_settled(self) -> None:
        now = self._loop_time()
        waiting, self._settling = self._settling, []
        for seq, pending, reply in waiting:
            if seq <= self._rows.flushed_seq:
                self._mailbox.answer(pending, reply)
            elif pending.deadline < now:
                self._mailbox.answer(pending, Unavailable("the tables are behind"))
            else:
                self._settling.append((seq, pending, reply))

    async def _watch_backlog(self) -> None:
        now = self._loop_time()
        if now < self._next_backlog:
            return
        self._next_backlog = now + BACKLOG_EVERY_S
        try:
            backlog = await self._store.outbox_backlog()
        except StoreUnavailable:
            return
        self._metrics.outbox_backlog = backlog
        full = backlog >= self._limits.outbox_high_water_rows
        self._gate.set("outbox", Overloaded("outbox", retry_after_s=5) if full else None)

    def _user_of(self, user_id: UserId) -> User:
        shard = self._territory.get(shard_of(user_id))
        return NOBODY if shard is None else self._territory.user(shard, user_id)
