"""The parts of a serving host, wired. What each does stands in its own file; here is only who knows whom."""

import asyncio
from collections.abc import Callable

from msgspec import Struct

from actors.clock import ServiceClock
from actors.commit_loop import CommitLoop
from actors.copies.keeper import CopyKeeper, CopyLimits
from actors.copies.ports import CopyWriter
from actors.deciding import Decider
from actors.domain.context import Policy
from actors.domain.ids import HostId, UserId
from actors.expiry import Expiry
from actors.flush_loop import FlushLimits, FlushLoop
from actors.flush_rows import FlushRows
from actors.formats import Formats
from actors.hearing import Deafness, Hearing
from actors.loading import Loading
from actors.mailbox import Mailbox, MailboxLimits
from actors.metrics import HostMetrics
from actors.ownership import Ownership
from actors.pacing import Pace
from actors.ports import Catalog, Claim, EntityLoader, HostStore
from actors.residents import Residents
from actors.territory import Territory
from actors.titles import CatalogTitles
from actors.write_gate import WriteGate

HOUSEKEEPING_EVERY_S = 1.0


class HostOptions(Struct, frozen=True, kw_only=True):
    """A host's figures; times in real seconds unless they are the policy's. ``advertised_address`` is where doors reach
    it, if that is not where it listens."""

    host_id: HostId
    listen_address: str
    advertised_address: str | None = None
    clock_rate: float = 1.0
    policy: Policy = Policy()
    mailbox: MailboxLimits = MailboxLimits()
    flush: FlushLimits = FlushLimits()
    max_batch_commands: int = 1024
    max_commands_per_link: int = 20_000
    max_frame_bytes: int = 4 * 2**20
    idle_entity_s: float = 300.0
    max_resident_entities: int = 200_000
    copies: CopyLimits = CopyLimits()


def _nobody_copies(_user_id: UserId) -> None:
    """Without a cache nobody needs to know who reads."""


class Engine:
    """One serving life of a host: from the end of its recovery on. ``on_doubt(about, begins)`` tells of outcomes that
    are unknown and of their resolution."""

    def __init__(
        self,
        *,
        options: HostOptions,
        claim: Claim,
        formats: Formats,
        clock: ServiceClock,
        store: HostStore,
        loader: EntityLoader,
        catalog: Catalog,
        copies: CopyWriter | None,
        new_id: Callable[[], bytes],
        cpu_seconds: Callable[[], float],
        metrics: HostMetrics,
        on_doubt: Callable[[str, bool], None],
    ) -> None:
        loop_time = asyncio.get_running_loop().time
        flush_asked = asyncio.Event()
        self._options = options
        self._cpu_seconds = cpu_seconds
        self._metrics = metrics
        self._on_doubt = on_doubt
        self.territory = Territory()
        self.mailbox = Mailbox(options.mailbox)
        self.rows = FlushRows(claim.flushed_seq, formats, mirrored=copies is not None)
        self.hearing = Hearing(clock)
        self.gate = WriteGate(self.hearing)
        self.pace = Pace(options.policy)
        titles = CatalogTitles(catalog, loop_time)
        self.loading = Loading(loader, self.mailbox, self.territory, titles)
        self.residents = Residents(
            self.territory,
            self.rows,
            self.mailbox,
            idle_s=options.idle_entity_s,
            limit=options.max_resident_entities,
        )
        self.expiry = Expiry(
            territory=self.territory,
            mailbox=self.mailbox,
            hearing=self.hearing,
            clock=clock,
            policy=options.policy,
            loop_time=loop_time,
        )
        self.ownership = Ownership(
            host_id=options.host_id,
            store=store,
            loader=loader,
            territory=self.territory,
            mailbox=self.mailbox,
            expiry=self.expiry,
            clock=clock,
            ask_for_flush=flush_asked.set,
        )
        self.copies = None if copies is None else self._keeper(copies, clock)
        self.flushing = FlushLoop(
            host_id=options.host_id,
            store=store,
            rows=self.rows,
            territory=self.territory,
            ownership=self.ownership,
            mailbox=self.mailbox,
            gate=self.gate,
            metrics=metrics,
            limits=options.flush,
            asked=flush_asked,
            copies=self.copies,
            on_doubt=lambda begins: on_doubt("flush", begins),
            loop_time=loop_time,
        )
        decider = Decider(
            territory=self.territory,
            mailbox=self.mailbox,
            loading=self.loading,
            ownership=self.ownership,
            residents=self.residents,
            hearing=self.hearing,
            gate=self.gate,
            clock=clock,
            policy=options.policy,
            titles=titles,
            pace=self.pace.interval_s,
            new_id=new_id,
            loop_time=loop_time,
            was_read=_nobody_copies if self.copies is None else self.copies.was_read,
        )
        self.commits = CommitLoop(
            store=store,
            next_seq=claim.next_seq,
            formats=formats,
            mailbox=self.mailbox,
            decider=decider,
            loading=self.loading,
            ownership=self.ownership,
            residents=self.residents,
            rows=self.rows,
            territory=self.territory,
            flushing=self.flushing,
            expiry=self.expiry,
            metrics=metrics,
            max_batch=options.max_batch_commands,
            on_clock_reading=clock.correct,
            on_doubt=self._commit_doubt,
            on_refusal=self._commit_refusal,
            loop_time=loop_time,
        )

    def _keeper(self, writer: CopyWriter, clock: ServiceClock) -> CopyKeeper:
        return CopyKeeper(
            writer,
            territory=self.territory,
            limits=self._options.copies,
            metrics=self._metrics.copies,
            acknowledged_until=lambda: self.commits.acknowledged_until(clock.now()),
            loop_time=asyncio.get_running_loop().time,
        )

    def _commit_doubt(self, begins: bool) -> None:
        """A host whose commit is in doubt can acknowledge nothing: it is deaf."""
        if begins:
            self.hearing.lost(Deafness.IN_DOUBT)
        else:
            self.hearing.regained(Deafness.IN_DOUBT)
        self._on_doubt("commit", begins)

    def _commit_refusal(self, begins: bool) -> None:
        """Nor can one whose store refuses commits."""
        (self.hearing.lost if begins else self.hearing.regained)(Deafness.REFUSED)

    async def keep_house(self) -> None:
        """Samples the load and the gauges, and lets idle users leave also when nobody calls."""
        loop = asyncio.get_running_loop()
        at, cpu = loop.time(), self._cpu_seconds()
        self._show_gauges()
        while True:
            await asyncio.sleep(HOUSEKEEPING_EVERY_S)
            now, cpu_now = loop.time(), self._cpu_seconds()
            queue = len(self.mailbox) / self._options.mailbox.pause_at
            self.pace.sample(max((cpu_now - cpu) / max(now - at, 1e-3), queue))
            at, cpu = now, cpu_now
            self._show_gauges()
            self.mailbox.wake()

    def _show_gauges(self) -> None:
        self._metrics.interval_s = self.pace.interval_s()
        self._metrics.serving_shards = self.territory.serving_count()
        self._metrics.live_sessions = self.territory.live_sessions
        self._metrics.resident_users = len(self.residents)
