"""One engine host: everything a process needs to own shards, put together.

Start: listen, take over (locks, epoch, address), replay, serve. ``run`` returns when the host was stopped, and raises
when it may not go on; the process then leaves, and a fresh one takes over.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from actors.clock import ServiceClock
from actors.copies.ports import CopyWriter
from actors.domain.ids import HostId, ShardId
from actors.engine import Engine, HostOptions
from actors.formats import Formats
from actors.lifecycle import HostState, host_lifecycle
from actors.link.handshake import Credentials
from actors.link.server import LinkServer
from actors.metrics import HostMetrics
from actors.ports import Catalog, Claim, ClockStore, Deposed, EntityLoader, HostStore, StoreUnavailable
from actors.recovery import replay_journal
from actors.release import release_formats
from actors.shard_loading import load_shards
from actors.territory import Shard

log = logging.getLogger(__name__)

TAKEOVER_PAUSE_S = (0.1, 2.0)
DRAIN_TIMEOUT_S = 5.0
DRAIN_CHECK_S = 0.01


class Host:
    """Made for one life: ``run`` once.

    ``formats`` are this release's, unless the process shares its own; ``on_serving`` is called when links are let in;
    ``new_id`` makes 16 random bytes, ``cpu_seconds`` tells the CPU used so far.
    """

    def __init__(
        self,
        *,
        options: HostOptions,
        credentials: Credentials,
        store: HostStore,
        loader: EntityLoader,
        clock_store: ClockStore,
        catalog: Catalog,
        copies: CopyWriter | None = None,
        formats: Formats | None = None,
        on_serving: Callable[[], None] = lambda: None,
        new_id: Callable[[], bytes] = lambda: uuid4().bytes,
        cpu_seconds: Callable[[], float] = time.process_time,
    ) -> None:
        self._options = options
        self._credentials = credentials
        self._store = store
        self._loader = loader
        self._clock_store = clock_store
        self._copies = copies
        self._formats = formats or release_formats()
        self._on_serving = on_serving
        self._catalog = catalog
        self._new_id = new_id
        self._cpu_seconds = cpu_seconds
        self._lifecycle = host_lifecycle()
        self._stopping = asyncio.Event()
        self._doubts: set[str] = set()
        self._engine: Engine | None = None
        self.metrics = HostMetrics()

    @property
    def state(self) -> HostState:
        return self._lifecycle.state

    def give(self, shard_ids: Iterable[ShardId], to_host: HostId) -> int:
        """Begins to give shards away; how many are on their way. 0 while the host does not serve."""
        return 0 if self._engine is None else self._engine.ownership.give(shard_ids, to_host)

    def stop(self) -> None:
        """Lets ``run`` flush and end. The host's shards stay its own: give them away first, or expect it back."""
        self._stopping.set()

    async def run(self) -> None:
        """Until ``stop``. Raises ``Deposed``, and whatever makes going on unsafe."""
        links = LinkServer(
            credentials=self._credentials,
            host_id=self._options.host_id,
            max_commands_per_link=self._options.max_commands_per_link,
            formats=self._formats,
            max_frame_bytes=self._options.max_frame_bytes,
        )
        address = await links.listen(self._options.listen_address, self._options.advertised_address)
        try:
            self._lifecycle.move(HostState.TAKING_OVER)
            with self._timed("takeover"):
                claim = await self._take_over(address)
            engine = self._engine = await self._recover(claim)
            self._lifecycle.move(HostState.RUNNING)
            links.open(claim.epoch, engine.mailbox, engine.hearing)
            self._on_serving()
            log.info("host serves", extra={"host": self._options.host_id, "epoch": claim.epoch, "address": address})
            await self._serve(engine)
        except Deposed:
            if self.state is not HostState.DEPOSED:
                self._lifecycle.move(HostState.DEPOSED)
            raise
        finally:
            await links.close()
            await self._store.close()

    async def _take_over(self, address: str) -> Claim:
        pause, longest = TAKEOVER_PAUSE_S
        while True:
            try:
                return await self._store.take_over(address)
            except StoreUnavailable as away:
                log.warning("the takeover waits for the store", extra={"reason": str(away)})
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)

    async def _recover(self, claim: Claim) -> Engine:
        """Rebuilds memory. A failure here ends the process: a fresh one begins again."""
        origin, real_now = await self._clock_store.clock_origin(self._options.clock_rate)
        engine = Engine(
            options=self._options,
            claim=claim,
            formats=self._formats,
            clock=ServiceClock(origin, real_now),
            store=self._store,
            loader=self._loader,
            catalog=self._catalog,
            copies=self._copies,
            new_id=self._new_id,
            cpu_seconds=self._cpu_seconds,
            metrics=self.metrics,
            on_doubt=self._doubt,
        )
        owners = await self._store.read_shards()
        mine = [owner for owner in owners.values() if owner.host_id == self._options.host_id]
        for owner in mine:
            engine.territory.add(Shard(owner.shard_id, owner.term))
        with self._timed("load"):
            await load_shards(self._loader, engine.territory, engine.ownership.install)
        with self._timed("replay"):
            touched_at = asyncio.get_running_loop().time()
            replayed = await replay_journal(
                store=self._store,
                loader=self._loader,
                territory=engine.territory,
                rows=engine.rows,
                formats=self._formats,
                touch=lambda user_id, shard_id: engine.residents.touch(user_id, shard_id, touched_at),
            )
        with self._timed("begin"):
            for shard in engine.territory:
                engine.ownership.begin_serving(shard)
                await asyncio.sleep(0)
        log.info(
            "host recovered",
            extra={
                "host": self._options.host_id,
                "shards": len(mine),
                "journal_rows": replayed,
                "live_sessions": engine.territory.live_sessions,
            },
        )
        return engine

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        clock = asyncio.get_running_loop().time
        began = clock()
        yield
        self.metrics.recovery_seconds[phase] = clock() - began

    async def _serve(self, engine: Engine) -> None:
        commits = asyncio.create_task(engine.commits.run(), name="commits")
        flushes = asyncio.create_task(engine.flushing.run(engine.commits.boundary), name="flushes")
        others = [
            asyncio.create_task(engine.ownership.run(), name="ownership"),
            asyncio.create_task(engine.expiry.run(), name="expiry"),
            asyncio.create_task(engine.keep_house(), name="housekeeping"),
        ]
        stopping = asyncio.create_task(self._stopping.wait())
        everything = [commits, flushes, *others, stopping]
        try:
            done, _ = await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            self._settle_state()
            await self._drain(engine, commits, flushes)
        finally:
            await _end(everything)
            await engine.loading.close()
            if engine.copies is not None:
                await engine.copies.close()

    async def _drain(self, engine: Engine, commits: asyncio.Task[None], flushes: asyncio.Task[None]) -> None:
        """Answers what waits, ends at a batch boundary, flushes. Bounded: the journal keeps what a flush could not."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + DRAIN_TIMEOUT_S
        while len(engine.mailbox) and loop.time() < give_up:  # noqa: ASYNC110 - no event fires when a mailbox empties
            await asyncio.sleep(DRAIN_CHECK_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                while engine.commits.in_flight and not commits.done():
                    await engine.commits.boundary()
        commits.cancel()
        engine.flushing.stop()
        await asyncio.wait({flushes}, timeout=DRAIN_TIMEOUT_S)
        if flushes.done():
            flushes.result()
            self._lifecycle.move(HostState.STOPPED)

    def _doubt(self, about: str, begins: bool) -> None:
        """A commit or a flush went into doubt, or was resolved."""
        if begins:
            self._doubts.add(about)
        else:
            self._doubts.discard(about)
        self._settle_state()

    def _settle_state(self) -> None:
        wanted = _SERVING_STATES[self._stopping.is_set(), bool(self._doubts)]
        if self.state is not wanted and self.state is not HostState.DEPOSED:
            self._lifecycle.move(wanted)


_SERVING_STATES = {
    (False, False): HostState.RUNNING,
    (False, True): HostState.IN_DOUBT,
    (True, False): HostState.DRAINING,
    (True, True): HostState.DRAINING_IN_DOUBT,
}


async def _end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
