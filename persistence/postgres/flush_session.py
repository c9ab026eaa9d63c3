"""The flush: one transaction that brings the tables up to a commit boundary (promises 2 and 3).

Always everything: rows, outbox, command ids, progress, gifts and the cut of the journal commit together or not at all,
so that a replay never applies twice what a table already shows.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from actors.domain.ids import Epoch, HostId, Seq, ShardId
from actors.ports import CommitRefused, Deposed, FlushBatch, ShardGift, ShardOwner, StoreError
from persistence.postgres import anomalies, categories, commands, library, locks, outbox, purchases, sessions, shards
from persistence.postgres.codecs import use_domain_types
from persistence.postgres.connection import (
    DRIVER_ERRORS,
    Session,
    Timeouts,
    commit_outcome,
    milliseconds,
    unavailable,
)
from persistence.postgres.host_session import HostSession
from persistence.postgres.pool import INDEX_ONLY_PLANS

_TRANSACTION_TIMEOUT_SINCE: Final = 17

# For share, not for key share: it must exclude the takeover's update.
_FENCE: Final = "select 1 from hosts where host_id = $1 and epoch = $2 for share"

# Compared with where the last flush left it: the cut below relies on that.
_PROGRESS: Final = """
update host_progress set flushed_seq = $3 where host_id = $1 and flushed_seq = $2 and $2 <= $3 returning 1
"""

# From where the last cut ended, so that the scan does not walk over what it deleted.
_CUT: Final = "delete from journal where host_id = $1 and seq > $2 and seq <= $3"

_READ_PROGRESS: Final = "select flushed_seq from host_progress where host_id = $1"

_GIVE: Final = """
update shards set host_id = gift.to_host, term = shards.term + 1
from unnest($2::smallint[], $3::bigint[], $4::integer[]) as gift (shard_id, term, to_host)
where shards.shard_id = gift.shard_id and shards.term = gift.term and shards.host_id = $1
returning shards.shard_id
"""


class FlushSession:
    """Flushes of one host, on the session that holds its flush lock."""

    def __init__(self, *, dsn: str, host_id: HostId, timeouts: Timeouts) -> None:
        self._host_id = host_id
        self._timeouts = timeouts
        self._flushed = Seq(0)
        self.session = HostSession(
            dsn=dsn,
            host_id=host_id,
            lock=locks.FLUSH,
            name="flush",
            timeouts=timeouts,
            settings={
                "idle_in_transaction_session_timeout": milliseconds(timeouts.flush_s),
                **INDEX_ONLY_PLANS,
            },
            prepare=self._prepare,
        )

    async def _prepare(self, session: Session) -> None:
        """Whatever this process does, the server ends a transaction that takes too long: a frozen owner, or half a
        statement on a dying connection, blocks a takeover no longer than that."""
        await use_domain_types(session)
        if session.get_server_version().major >= _TRANSACTION_TIMEOUT_SINCE:
            limit = milliseconds(self._timeouts.flush_s)
            await session.execute(f"set transaction_timeout = '{limit}'", timeout=self._timeouts.read_s)

    def begin_at(self, flushed: Seq) -> None:
        """Where the tables are, as a takeover found them."""
        self._flushed = flushed

    async def flush(self, epoch: Epoch, batch: FlushBatch) -> frozenset[ShardId]:
        """See ``HostStore.flush``."""
        session = self.session.current()
        try:
            async with asyncio.timeout(self._timeouts.flush_s):
                given = await self._transaction(session, epoch, batch)
        except DRIVER_ERRORS as error:
            outcome = commit_outcome(error)
            if isinstance(outcome, CommitRefused):
                await self._roll_back(session)
            raise outcome from error
        except StoreError:
            await self._roll_back(session)
            raise
        except BaseException:
            # Cancelled, or a mistake of ours: the session must not carry half a transaction into the next flush.
            self.session.close()
            raise
        self._flushed = batch.up_to
        return given

    async def _transaction(self, session: Session, epoch: Epoch, batch: FlushBatch) -> frozenset[ShardId]:
        await session.execute("begin")
        if await session.fetchval(_FENCE, self._host_id, epoch) is None:
            raise Deposed(f"host {self._host_id} is no longer at epoch {epoch}")
        await library.flush_deletes(session, batch.removed, batch.returned)
        await categories.flush_deletes(session, batch.categories_deleted)
        await library.flush(session, batch.items, batch.removed)
        await categories.flush(session, batch.categories)
        await sessions.flush_live(session, batch.sessions_live)
        await sessions.flush_ended(session, batch.sessions_ended)
        await sessions.flush_heartbeats(session, batch.heartbeats)
        await purchases.flush(session, batch.purchases)
        await commands.flush(session, batch.commands)
        await anomalies.flush(session, batch.anomalies)
        await outbox.flush(session, batch.outbox)
        if await session.fetchval(_PROGRESS, self._host_id, self._flushed, batch.up_to) is None:
            raise CommitRefused(f"the tables are not at seq {self._flushed}, or {batch.up_to} is behind that")
        await session.execute(_CUT, self._host_id, self._flushed, batch.up_to)
        given = await self._give(session, batch.gifts)
        if await session.execute("commit") != "COMMIT":
            raise CommitRefused("the transaction was rolled back by the server")
        return given

    async def _give(self, session: Session, gifts: Sequence[ShardGift]) -> frozenset[ShardId]:
        if not gifts:
            return frozenset()
        rows = await session.fetch(
            _GIVE,
            self._host_id,
            [gift.shard_id for gift in gifts],
            [gift.term for gift in gifts],
            [gift.to_host for gift in gifts],
        )
        return frozenset(ShardId(row["shard_id"]) for row in rows)

    async def _roll_back(self, session: Session) -> None:
        """After a refusal the outcome is certain, whatever becomes of the session."""
        try:
            await session.execute("rollback", timeout=self._timeouts.read_s)
        except DRIVER_ERRORS:
            self.session.close()

    async def recover(self, epoch: Epoch) -> tuple[Seq, Mapping[ShardId, ShardOwner]]:
        """See ``HostStore.recover_flush``."""
        session = await self.session.replace(epoch)
        try:
            # New statements, after the former backend is known to be done.
            flushed = await session.fetchval(_READ_PROGRESS, self._host_id, timeout=self._timeouts.read_s)
            owners = shards.owners(await session.fetch(shards.READ, timeout=self._timeouts.read_s))
        except DRIVER_ERRORS as error:
            raise unavailable(error) from error
        self._flushed = Seq(flushed)
        return self._flushed, owners
