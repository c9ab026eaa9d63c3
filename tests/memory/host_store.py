"""``HostStore`` in memory: one pretended process' claim on a host."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TypeVar

from actors.domain.ids import Epoch, HostId, Micros, Seq, ShardId, Term
from actors.ports import (
    Claim,
    CommitRefused,
    Deposed,
    FlushBatch,
    HostAddress,
    OutcomeUnknown,
    ShardGift,
    ShardOwner,
    StoreUnavailable,
)
from tests.memory.database import LockKey, MemoryDatabase, MemorySession
from tests.memory.store_faults import Operation, OperationKind

T = TypeVar("T")

REPLAY_PAGE = 200


class MemoryHostStore:
    """A process that dies just stops calling: its sessions stay until somebody takes the host over."""

    def __init__(self, database: MemoryDatabase, host_id: HostId) -> None:
        self._database = database
        self._tables = database.tables
        self._host_id = host_id
        self._epoch: Epoch | None = None
        self._journal: MemorySession | None = None
        self._flush: MemorySession | None = None

    async def take_over(self, address: str) -> Claim:
        await self.close()

        def work() -> Claim:
            former = self._tables.hosts.get(self._host_id)
            if former is None or self._host_id not in self._tables.progress:
                raise StoreUnavailable("the host has no rows yet")
            self._database.end_holders(self._lock("journal"), self._lock("flush"))
            self._journal = self._locked("journal")
            self._flush = self._locked("flush")
            epoch = Epoch(former.epoch + 1)
            self._tables.hosts[self._host_id] = HostAddress(self._host_id, epoch, address)
            self._epoch = epoch
            return self._found(epoch)

        try:
            return await self._database.unlocked(self._operation("take_over"), work)
        except StoreUnavailable:
            await self.close()
            raise

    def _found(self, epoch: Epoch) -> Claim:
        flushed = self._tables.progress[self._host_id]
        last = max(self._tables.journal.get(self._host_id, {}), default=Seq(0))
        return Claim(epoch, flushed, Seq(max(flushed, last) + 1), self._database.clock.now())

    async def replay(self, after: Seq) -> AsyncIterator[tuple[Seq, bytes]]:
        def page() -> list[tuple[Seq, bytes]]:
            rows = self._tables.journal.get(self._host_id, {})
            return sorted((seq, body) for seq, body in rows.items() if seq > after)[:REPLAY_PAGE]

        while rows := await self._read_on_journal("replay", page):
            for row in rows:
                yield row
            after = rows[-1][0]

    async def append(self, seq: Seq, body: bytes) -> Micros:
        def work() -> Micros:
            rows = self._tables.journal.setdefault(self._host_id, {})
            if seq in rows:
                raise CommitRefused(f"seq {seq} exists")
            rows[seq] = body
            return self._database.clock.now()

        return await self._database.on_session(self._journal, self._operation("append"), work)

    async def check_fence(self) -> Micros:
        try:
            return await self._database.on_session(
                self._journal, self._operation("check_fence"), self._database.clock.now
            )
        except CommitRefused as error:
            raise OutcomeUnknown(str(error)) from error

    async def recover_journal(self, seq: Seq | None) -> bool:
        def replace() -> bool:
            self._journal = self._replaced("journal", self._journal)
            return seq is not None and seq in self._tables.journal.get(self._host_id, {})

        return await self._database.unlocked(self._operation("recover_journal"), replace)

    async def flush(self, batch: FlushBatch) -> frozenset[ShardId]:
        def work() -> frozenset[ShardId]:
            self._check_epoch()
            progress = self._tables.progress[self._host_id]
            if batch.up_to < progress:
                raise CommitRefused("the tables are further")
            self._tables.check(batch)
            self._tables.apply(batch)
            self._tables.progress[self._host_id] = batch.up_to
            rows = self._tables.journal.get(self._host_id, {})
            self._tables.journal[self._host_id] = {seq: body for seq, body in rows.items() if seq > batch.up_to}
            return frozenset(gift.shard_id for gift in batch.gifts if self._give(gift))

        return await self._database.on_session(self._flush, self._operation("flush"), work)

    def _give(self, gift: ShardGift) -> bool:
        owner = self._tables.shards.get(gift.shard_id)
        if owner is None or owner.host_id != self._host_id or owner.term != gift.term:
            return False
        self._tables.shards[gift.shard_id] = ShardOwner(gift.shard_id, gift.to_host, Term(gift.term + 1))
        return True

    async def recover_flush(self) -> tuple[Seq, Mapping[ShardId, ShardOwner]]:
        def replace() -> tuple[Seq, Mapping[ShardId, ShardOwner]]:
            self._flush = self._replaced("flush", self._flush)
            return self._tables.progress[self._host_id], dict(self._tables.shards)

        return await self._database.unlocked(self._operation("recover_flush"), replace)

    async def read_shards(self) -> Mapping[ShardId, ShardOwner]:
        return await self._database.unlocked(self._operation("read"), lambda: dict(self._tables.shards))

    async def outbox_backlog(self) -> int:
        return await self._database.unlocked(self._operation("read"), lambda: len(self._tables.outbox))

    async def close(self) -> None:
        for session in (self._journal, self._flush):
            if session is not None:
                self._database.end(session)
        self._journal = self._flush = None

    async def _read_on_journal(self, kind: OperationKind, work: Callable[[], T]) -> T:
        try:
            return await self._database.on_session(self._journal, self._operation(kind), work)
        except (OutcomeUnknown, CommitRefused) as error:
            raise StoreUnavailable(str(error)) from error

    def _replaced(self, name: str, former: MemorySession | None) -> MemorySession:
        """Ends our own former session, never another process'."""
        self._check_epoch()
        if former is not None:
            self._database.end(former)
        return self._locked(name)

    def _locked(self, name: str) -> MemorySession:
        session = self._database.connect()
        self._database.lock(self._lock(name), session)
        return session

    def _lock(self, name: str) -> LockKey:
        return (name, self._host_id)

    def _check_epoch(self) -> None:
        if self._epoch is None:
            raise OutcomeUnknown("this process has not taken the host over")
        if self._tables.hosts[self._host_id].epoch != self._epoch:
            raise Deposed(f"host {self._host_id} is no longer at epoch {self._epoch}")

    def _operation(self, kind: OperationKind) -> Operation:
        return Operation(kind, self._host_id)
