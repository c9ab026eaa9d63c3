"""A session that holds one of a host's two locks as long as it lives, and how a lost one is replaced.

Holding the lock is what makes this process the host's writer, so a lost session can't simply be opened again. Its
backend may still be at work on a commit, and may even do it later; and another process may have taken the host over
meanwhile. ``replace`` settles both before anybody looks for what became of the commit.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from actors.domain.ids import Epoch, HostId
from actors.ports import Deposed, OutcomeUnknown, StoreUnavailable
from persistence.postgres.connection import DRIVER_ERRORS, Session, Timeouts, open_session, unavailable
from persistence.postgres.locks import LockClass

Prepare = Callable[[Session], Awaitable[None]]

_MY_BACKEND: Final = "select pid, backend_start from pg_stat_activity where pid = pg_backend_pid()"

_END_BACKEND: Final = "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and backend_start = $2"

_END_HOLDERS: Final = """
select pg_terminate_backend(pid) from pg_locks
where locktype = 'advisory' and objsubid = 2 and granted and classid = any($1::oid[]) and objid = $2::oid
  and database = (select oid from pg_database where datname = current_database())
"""

_LOCK: Final = "select pg_advisory_lock($1, $2)"

_READ_EPOCH: Final = "select epoch from hosts where host_id = $1"

_STILL_MINE: Final = "update hosts set address = address where host_id = $1 and epoch = $2 returning 1"
"""A synchronous commit on the row that a takeover changes: it can't be true of an owner that is deposed, nor on a
server that is no longer the primary."""


class HostSession:
    """One of the two sessions of a host's store: opened by a takeover, replaced after it was lost."""

    def __init__(
        self,
        *,
        dsn: str,
        host_id: HostId,
        lock: LockClass,
        name: str,
        timeouts: Timeouts,
        settings: Mapping[str, str],
        prepare: Prepare,
    ) -> None:
        """``prepare`` makes a new session ready for its work, after it has its lock."""
        self._dsn = dsn
        self._host_id = host_id
        self._lock = lock
        self._name = name
        self._timeouts = timeouts
        self._settings = settings
        self._prepare = prepare
        self._session: Session | None = None
        self._candidate: Session | None = None
        """Connected, but without the lock yet: nothing may be written on it."""
        self._backends: list[tuple[int, object]] = []
        """Every backend of ours that may still hold the lock or wait for it: (pid, its start)."""

    def current(self) -> Session:
        """The session that holds the lock, if it is not known to be lost; ``OutcomeUnknown`` otherwise."""
        if self._session is None or self._session.is_closed():
            raise OutcomeUnknown(f"the {self._name} session is lost")
        return self._session

    async def open(self) -> Session:
        """Connects, without the lock yet. Raises ``StoreUnavailable``."""
        self.close()
        session = await open_session(
            self._dsn,
            application_name=f"library-host-{self._host_id}-{self._name}",
            timeouts=self._timeouts,
            settings=self._settings,
        )
        self._candidate = session
        try:
            mine = await session.fetchrow(_MY_BACKEND, timeout=self._timeouts.read_s)
        except DRIVER_ERRORS as error:
            raise unavailable(error) from error
        if mine is None:
            raise StoreUnavailable("the session cannot see its own backend")
        self._backends.append((mine["pid"], mine["backend_start"]))
        return session

    async def take_lock(self) -> None:
        """Waits for whoever holds the lock, at most ``lock_s``; driver errors go through."""
        await self._opened().fetch(_LOCK, self._lock, self._host_id, timeout=self._timeouts.lock_s + 1)

    async def make_ready(self) -> None:
        """The opened session, which has the lock, becomes the current one; driver errors go through."""
        session = self._opened()
        await self._prepare(session)
        self._session, self._candidate = session, None
        # The lock is ours, so none of those before this one holds it.
        del self._backends[:-1]

    def _opened(self) -> Session:
        if self._candidate is None:
            raise StoreUnavailable(f"the {self._name} session was closed while it was opened")
        return self._candidate

    async def replace(self, epoch: Epoch) -> Session:
        """A new session under the same epoch, once the former one can do nothing any more.

        Raises ``Deposed`` when the epoch has moved on, ``StoreUnavailable`` when it can't be told now.
        """
        try:
            session = await self.open()
            await self._check_epoch(session, epoch)
            await self._end_former(session)
            # The lock is free only after its holder's last transaction has ended, either way. One of ours that does not
            # hold it never wrote anything. So this is the wait until the former backend is gone.
            await self.take_lock()
            if await session.fetchval(_STILL_MINE, self._host_id, epoch, timeout=self._timeouts.commit_s) is None:
                raise Deposed(f"host {self._host_id} is no longer at epoch {epoch}")
            await self.make_ready()
        except DRIVER_ERRORS as error:
            self.close()
            raise unavailable(error) from error
        except BaseException:
            self.close()
            raise
        return session

    async def _end_former(self, session: Session) -> None:
        """Those that are gone already are forgotten, so that attempts without end leave no list without end."""
        *former, mine = self._backends
        alive = []
        for backend in former:
            if await session.fetchval(_END_BACKEND, *backend, timeout=self._timeouts.read_s) is not None:
                alive.append(backend)
        self._backends = [*alive, mine]

    async def _check_epoch(self, session: Session, epoch: Epoch) -> None:
        """Spares a deposed owner the wait for a lock that its successor holds."""
        now = await session.fetchval(_READ_EPOCH, self._host_id, timeout=self._timeouts.read_s)
        if now != epoch:
            raise Deposed(f"host {self._host_id} is at epoch {now}, not {epoch}")

    def close(self) -> None:
        """Drops the connections; their backends notice, or are ended by whoever needs the lock."""
        for session in (self._session, self._candidate):
            if session is not None:
                session.terminate()
        self._session = self._candidate = None


async def end_holders(session: Session, locks: list[LockClass], host_id: HostId, timeout_s: float) -> None:
    """Ends whatever sessions of this database hold these locks of the host; driver errors go through."""
    await session.fetch(_END_HOLDERS, locks, host_id, timeout=timeout_s)
