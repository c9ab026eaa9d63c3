"""The outbox as a queue for the one relay (the port ``actors.relay.ports.OutboxQueue``).

One session does everything and holds the relay's lock as long as it lives, so whoever reads is whoever leads.
"""

from collections.abc import Sequence
from typing import Final

from actors.domain.ids import Seq, ShardId, Term, UserId
from actors.ports import OutboxRow, StoreUnavailable
from actors.relay.ports import OutboxPage
from persistence.postgres import locks
from persistence.postgres.codecs import use_domain_types
from persistence.postgres.connection import DRIVER_ERRORS, Session, Timeouts, open_session, unavailable

_TRY_LOCK: Final = "select pg_try_advisory_lock($1, 0)"

_READ: Final = """
select shard_id, term, seq, n, user_id, body, version,
       extract(epoch from clock_timestamp() - created_at)::float8 as age_s
from outbox
where shard_id >= $1
order by shard_id, term, seq, n
limit $2
"""
"""Along the primary key, from the lowest row of a shard on: a row that commits late is still found."""

_DELETE: Final = """
delete from outbox
using unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::integer[]) as sent (shard_id, term, seq, n)
where outbox.shard_id = sent.shard_id
  and outbox.term = sent.term
  and outbox.seq = sent.seq
  and outbox.n = sent.n
"""


class PostgresOutboxQueue:
    """Not for concurrent calls."""

    def __init__(self, dsn: str, *, timeouts: Timeouts | None = None) -> None:
        self._dsn = dsn
        self._timeouts = timeouts or Timeouts()
        self._session: Session | None = None
        self._leads = False

    async def acquire(self) -> bool:
        """See ``OutboxQueue.acquire``."""
        session = await self._connected()
        if not self._leads:
            try:
                self._leads = await session.fetchval(_TRY_LOCK, locks.RELAY, timeout=self._timeouts.read_s)
            except DRIVER_ERRORS as error:
                raise unavailable(error) from error
        return self._leads

    async def read(self, from_shard: ShardId, limit: int) -> OutboxPage:
        """See ``OutboxQueue.read``."""
        try:
            found = await self._leading().fetch(_READ, from_shard, limit, timeout=self._timeouts.read_s)
        except DRIVER_ERRORS as error:
            raise unavailable(error) from error
        rows = [
            OutboxRow(
                shard_id=ShardId(row["shard_id"]),
                term=Term(row["term"]),
                seq=Seq(row["seq"]),
                n=row["n"],
                user_id=UserId(row["user_id"]),
                body=row["body"],
                version=row["version"],
            )
            for row in found
        ]
        return OutboxPage(rows=rows, oldest_age_s=max((row["age_s"] for row in found), default=0.0))

    async def delete(self, rows: Sequence[OutboxRow]) -> None:
        """See ``OutboxQueue.delete``."""
        keys = (
            [row.shard_id for row in rows],
            [row.term for row in rows],
            [row.seq for row in rows],
            [row.n for row in rows],
        )
        try:
            await self._leading().execute(_DELETE, *keys, timeout=self._timeouts.read_s)
        except DRIVER_ERRORS as error:
            raise unavailable(error) from error

    async def release(self) -> None:
        """See ``OutboxQueue.release``: the lock ends with its session."""
        session, self._session, self._leads = self._session, None, False
        if session is None:
            return
        try:
            await session.close(timeout=self._timeouts.connect_s)
        except DRIVER_ERRORS:
            session.terminate()

    async def _connected(self) -> Session:
        if self._session is None or self._session.is_closed():
            self._leads = False
            session = await open_session(
                self._dsn,
                application_name="library-relay",
                timeouts=self._timeouts,
                # A delete that a crash of the server forgets sends an event again, with the same id: no need to wait.
                settings={"synchronous_commit": "off"},
            )
            try:
                await use_domain_types(session)
            except DRIVER_ERRORS as error:
                session.terminate()
                raise unavailable(error) from error
            self._session = session
        return self._session

    def _leading(self) -> Session:
        if self._session is None or not self._leads:
            raise StoreUnavailable("the relay's lock is not held")
        return self._session
