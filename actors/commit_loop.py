"""The only place where committed state changes: batch, decide, commit, answer.

Every answer is released by a commit, refusals and reads too; a batch without events makes a fence check instead, begun
after its last arrival. So a deposed host can give neither a stale refusal nor an old read (promises 3 and 4).

Outcomes of a commit: *done* - the overlay becomes the state; *refused* - the overlay is dropped, 503; *unknown* - the
waiters are kept until recovery has looked for the journal row: there, it is done; absent, everything is decided again.
"""

import asyncio
import logging
from collections.abc import Callable

from actors.deciding import DecidedBatch, Decider
from actors.dirty import Home
from actors.domain.commands import Settle
from actors.domain.events import SessionEnded, SessionStarted
from actors.domain.ids import Micros, Seq, UserId
from actors.domain.replies import Unavailable
from actors.expiry import Expiry
from actors.flush_loop import FlushLoop
from actors.flush_rows import FlushRows
from actors.formats import Formats
from actors.journal import encode_body
from actors.loading import Loading
from actors.mailbox import Mailbox
from actors.metrics import HostMetrics
from actors.ownership import Ownership
from actors.ports import CommitRefused, HostStore, OutcomeUnknown, StoreUnavailable
from actors.residents import Residents
from actors.territory import Territory

log = logging.getLogger(__name__)

IDLE_FENCE_CHECK_S = 2.0
"""A host that commits nothing for so long checks its fence. Another process may have taken it over, published its own
address and died; nobody would call this one again, and nobody start another, until it finds out and leaves."""
SWEEP_S = 1.0
CROWDED_SWEEP_S = 0.02
"""Between two looks at who may leave memory, each a millisecond: users who come faster than one sweep a second can send
away must not fill it (promise 6)."""
RECOVERY_PAUSE_S = (0.05, 1.0)
"""Between two attempts to recover: the first, doubled up to the last. It ends by success or deposition alone."""


class CommitLoop:
    """Runs until it is cancelled or the host is deposed."""

    def __init__(
        self,
        *,
        store: HostStore,
        next_seq: Seq,
        formats: Formats,
        mailbox: Mailbox,
        decider: Decider,
        loading: Loading,
        ownership: Ownership,
        residents: Residents,
        rows: FlushRows,
        territory: Territory,
        flushing: FlushLoop,
        expiry: Expiry,
        metrics: HostMetrics,
        max_batch: int,
        on_clock_reading: Callable[[Micros], None],
        on_doubt: Callable[[bool], None],
        on_refusal: Callable[[bool], None],
        loop_time: Callable[[], float],
    ) -> None:
        self._store = store
        self._next_seq = next_seq
        self._formats = formats
        self._mailbox = mailbox
        self._decider = decider
        self._loading = loading
        self._ownership = ownership
        self._residents = residents
        self._rows = rows
        self._territory = territory
        self._flushing = flushing
        self._expiry = expiry
        self._metrics = metrics
        self._max_batch = max_batch
        self._on_clock_reading = on_clock_reading
        self._on_doubt = on_doubt
        self._on_refusal = on_refusal
        self._refusing = False
        self._loop_time = loop_time
        self._boundary_waiters: list[asyncio.Future[None]] = []
        self._in_flight = False
        self._decided_at = Micros(0)
        self._next_sweep = 0.0
        self._proved_at = loop_time()

    @property
    def in_flight(self) -> bool:
        """A batch is decided and not yet committed."""
        return self._in_flight

    def acknowledged_until(self, now: Micros) -> Micros:
        """The service time before which all that was decided is committed and in memory, or dropped: ``now``, or when
        the batch in flight was decided."""
        return min(now, self._decided_at) if self._in_flight else now

    async def boundary(self) -> None:
        """Returns at a batch boundary: what was decided before is committed and in memory, or dropped."""
        if not self._in_flight:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._boundary_waiters.append(waiter)
        await waiter

    async def run(self) -> None:
        """Raises ``Deposed``."""
        while True:
            await self._mailbox.wait()
            self._at_boundary()
            commands = self._mailbox.cut(self._max_batch)
            probing = self._refusing or self._loop_time() - self._proved_at >= IDLE_FENCE_CHECK_S
            batch = self._decider.decide(commands)
            if not batch.answers and not probing:
                await asyncio.sleep(0)  # shards that were loaded together are begun one a turn: links are read between
                continue
            self._in_flight, self._decided_at = True, batch.now
            try:
                await self._commit(batch)
            finally:
                self._in_flight = False
                self._release_boundary_waiters()

    def _at_boundary(self) -> None:
        self._loading.merge_arrivals()
        self._ownership.at_boundary()
        now = self._loop_time()
        if now >= self._next_sweep:
            self._metrics.evicted += self._residents.sweep(now)
            self._next_sweep = now + (CROWDED_SWEEP_S if self._residents.crowded else SWEEP_S)

    def _release_boundary_waiters(self) -> None:
        for waiter in self._boundary_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._boundary_waiters.clear()

    async def _commit(self, batch: DecidedBatch) -> None:
        """A store that refused the last commit is asked by an empty one whether it takes commits again."""
        seq = self._next_seq if batch.entries or self._refusing else None
        body = encode_body(self._formats, batch.entries)
        began = self._loop_time()
        try:
            if seq is not None:
                reading = await self._store.append(seq, body)
            else:
                reading = await self._store.check_fence()
        except CommitRefused as refused:
            log.error("a commit was refused", extra={"reason": str(refused)})
            self._metrics.commits_refused += 1
            self._refusing = True
            self._on_refusal(True)
            for pending, _ in batch.answers:
                self._mailbox.answer(pending, Unavailable("the store refused the commit"))
            return
        except OutcomeUnknown as unknown:
            if not await self._recover(seq, unknown):
                self._mailbox.put_back(pending for pending, _ in batch.answers)
                return
        else:
            self._on_clock_reading(reading)
            self._proved_at = self._loop_time()
        self._metrics.batch_done(len(batch.answers), seq is not None, self._loop_time() - began)
        if seq is not None:
            self._next_seq = Seq(seq + 1)
            self._apply(batch, seq, len(body))
            if self._refusing:
                self._refusing = False
                self._on_refusal(False)
        self._answer(batch)

    def _apply(self, batch: DecidedBatch, seq: Seq, body_bytes: int) -> None:
        overlay = batch.overlay

        def home_of(user_id: UserId) -> Home:
            shard = overlay[user_id][0]
            return shard.shard_id, shard.term

        territory = self._territory
        for user_id, (shard, user) in overlay.items():
            shard.users[user_id] = user
        self._rows.committed(seq, body_bytes, batch.entries, home_of)
        for user_id, events in batch.entries:
            for event in events:
                self._metrics.event(event)
                if type(event) is SessionStarted:
                    territory.live_sessions += 1
                    self._expiry.watch(user_id, event.session)
                elif type(event) is SessionEnded:
                    territory.live_sessions -= 1
        self._flushing.after_commit()

    def _answer(self, batch: DecidedBatch) -> None:
        for pending, reply in batch.answers:
            if type(pending.command) is Settle and self._rows.is_dirty(pending.user_id):
                self._flushing.settle(pending, reply)
            else:
                self._mailbox.answer(pending, reply)

    async def _recover(self, seq: Seq | None, unknown: OutcomeUnknown) -> bool:
        """Whether the commit in doubt is done. A fence check in doubt is simply made again, by deciding again."""
        log.warning("a commit is in doubt", extra={"seq": seq, "reason": str(unknown)})
        self._metrics.commits_in_doubt += 1
        self._on_doubt(True)
        pause, longest = RECOVERY_PAUSE_S
        while True:
            try:
                found = await self._store.recover_journal(seq)
                break
            except StoreUnavailable:
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)
        self._on_doubt(False)
        log.info("a commit in doubt was resolved", extra={"seq": seq, "found": found})
        return found and seq is not None
