"""``HostStore`` on Postgres: one process' claim on a host, made of a journal session and a flush session."""

from collections.abc import Mapping

from actors.domain.ids import Epoch, HostId, Seq, ShardId
from actors.ports import Claim, FlushBatch, OutcomeUnknown, ShardOwner
from persistence.postgres import outbox, shards
from persistence.postgres.connection import Timeouts
from persistence.postgres.flush_session import FlushSession
from persistence.postgres.journal_session import JournalSession
from persistence.postgres.pool import ConnectionPool
from persistence.postgres.takeover import take_over


class PostgresHostStore:
    """See ``actors.ports.HostStore`` for every promise."""

    def __init__(
        self,
        *,
        dsn: str,
        host_id: HostId,
        reads: ConnectionPool,
        timeouts: Timeouts,
        fence_by_commit: bool = False,
    ) -> None:
        """``reads`` is for what needs no lock; it stays the caller's to close. ``fence_by_commit``: a standby may be
        promoted, so a fence check must be a commit that it confirms."""
        self._host_id = host_id
        self._reads = reads
        self._timeouts = timeouts
        self._journal = JournalSession(dsn=dsn, host_id=host_id, timeouts=timeouts, fence_by_commit=fence_by_commit)
        self._flush = FlushSession(dsn=dsn, host_id=host_id, timeouts=timeouts)
        self._epoch: Epoch | None = None
        self.append = self._journal.append
        self.check_fence = self._journal.check_fence
        self.replay = self._journal.replay

    async def take_over(self, address: str) -> Claim:
        claim = await take_over(
            journal=self._journal.session,
            flush=self._flush.session,
            host_id=self._host_id,
            address=address,
            timeouts=self._timeouts,
        )
        self._epoch = claim.epoch
        self._flush.begin_at(claim.flushed_seq)
        return claim

    async def recover_journal(self, seq: Seq | None) -> bool:
        return await self._journal.recover(self._claimed(), seq)

    async def flush(self, batch: FlushBatch) -> frozenset[ShardId]:
        return await self._flush.flush(self._claimed(), batch)

    async def recover_flush(self) -> tuple[Seq, Mapping[ShardId, ShardOwner]]:
        return await self._flush.recover(self._claimed())

    async def read_shards(self) -> Mapping[ShardId, ShardOwner]:
        return await shards.read(self._reads)

    async def outbox_backlog(self) -> int:
        return await outbox.backlog(self._reads)

    async def close(self) -> None:
        self._journal.session.close()
        self._flush.session.close()

    def _claimed(self) -> Epoch:
        if self._epoch is None:
            raise OutcomeUnknown("this process has not taken the host over")
        return self._epoch
