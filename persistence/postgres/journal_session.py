"""The journal: one row a group commit, and the proof of ownership (promises 1 and 4).

The way of every write goes through ``append``: one prepared statement, one round trip. It needs no fence in SQL, for
the session it runs on lives only while it holds the host's lock.
"""

from collections.abc import AsyncIterator
from typing import Any, Final

from actors.domain.ids import Epoch, HostId, Micros, Seq
from actors.ports import OutcomeUnknown
from persistence.postgres import locks
from persistence.postgres.connection import DRIVER_ERRORS, Session, Timeouts, commit_outcome, unavailable
from persistence.postgres.host_session import HostSession

_NOW: Final = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
"""The store's clock in whole microseconds: numeric all the way, so that nothing is rounded."""

_APPEND: Final = f"insert into journal (host_id, seq, body) values ($1, $2, $3) returning {_NOW}"

_FENCE: Final = f"select {_NOW}"

_FENCE_BY_COMMIT: Final = f"select {_NOW} from pg_logical_emit_message(true, 'library-fence', '')"
"""An empty message in the WAL: the smallest commit that a synchronous standby must confirm."""

_REPLAY: Final = "select seq, body from journal where host_id = $1 and seq > $2 order by seq limit 200"

_HAS_ROW: Final = "select exists (select 1 from journal where host_id = $1 and seq = $2)"


class JournalSession:
    """Appends, fence checks, replay and recovery of one host's journal, all on the session that holds its lock."""

    def __init__(self, *, dsn: str, host_id: HostId, timeouts: Timeouts, fence_by_commit: bool) -> None:
        """``fence_by_commit`` is for a primary that may be replaced by its standby: a read could be answered by one
        that does not know yet."""
        self._host_id = host_id
        self._timeouts = timeouts
        self._fence_sql = _FENCE_BY_COMMIT if fence_by_commit else _FENCE
        self.session = HostSession(
            dsn=dsn,
            host_id=host_id,
            lock=locks.JOURNAL,
            name="journal",
            timeouts=timeouts,
            settings={},
            prepare=self._prepare,
        )
        self._append: Any = None
        self._fence: Any = None

    async def _prepare(self, session: Session) -> None:
        self._append = await session.prepare(_APPEND, timeout=self._timeouts.read_s)
        self._fence = await session.prepare(self._fence_sql, timeout=self._timeouts.read_s)

    async def append(self, seq: Seq, body: bytes) -> Micros:
        """See ``HostStore.append``."""
        self.session.current()
        try:
            rows = await self._append.fetch(self._host_id, seq, body, timeout=self._timeouts.commit_s)
        except DRIVER_ERRORS as error:
            raise commit_outcome(error) from error
        return Micros(rows[0][0])

    async def check_fence(self) -> Micros:
        """See ``HostStore.check_fence``."""
        self.session.current()
        try:
            rows = await self._fence.fetch(timeout=self._timeouts.commit_s)
        except DRIVER_ERRORS as error:
            raise OutcomeUnknown(f"{type(error).__name__}: {error}") from error
        return Micros(rows[0][0])

    async def replay(self, after: Seq) -> AsyncIterator[tuple[Seq, bytes]]:
        """See ``HostStore.replay``; ``StoreUnavailable`` when the session breaks meanwhile."""
        last = after
        while True:
            try:
                rows = await self.session.current().fetch(_REPLAY, self._host_id, last, timeout=self._timeouts.read_s)
            except (*DRIVER_ERRORS, OutcomeUnknown) as error:
                raise unavailable(error) from error
            if not rows:
                return
            for row in rows:
                yield Seq(row["seq"]), row["body"]
            last = rows[-1]["seq"]

    async def recover(self, epoch: Epoch, seq: Seq | None) -> bool:
        """See ``HostStore.recover_journal``."""
        session = await self.session.replace(epoch)
        if seq is None:
            return False
        try:
            # A new statement, after the former backend is known to be done.
            found: bool = await session.fetchval(_HAS_ROW, self._host_id, seq, timeout=self._timeouts.read_s)
        except DRIVER_ERRORS as error:
            raise unavailable(error) from error
        return found
