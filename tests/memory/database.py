"""The server in memory: sessions that hold locks, work that happens at one moment or not at all, and faults.

A session's work runs in a task of the server's own. A client that is cancelled, or whose time is up, leaves it behind:
it may still happen later, unless somebody ends the session first. That is the hole that recovery and takeover close.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from actors.domain.ids import HostId
from actors.ports import CommitRefused, OutcomeUnknown, StoreUnavailable
from tests.memory.store_clock import StoreClock
from tests.memory.store_faults import AT_ONCE, Course, Fate, Operation, StoreFaults
from tests.memory.tables import Tables

T = TypeVar("T")

LockKey = tuple[str, HostId]


class MemorySession:
    """A connection: ``ended`` on the server's side, ``lost`` on the client's."""

    def __init__(self) -> None:
        self.ended = False
        self.lost = False


class MemoryDatabase:
    """Shared by every store object of a test. ``timeout_s`` is how long a client waits, in the loop's time."""

    def __init__(
        self, *, clock: StoreClock | None = None, faults: StoreFaults | None = None, timeout_s: float = 5.0
    ) -> None:
        self.clock = clock or StoreClock()
        self.faults = faults or StoreFaults()
        self.tables = Tables()
        self.up = True
        self._timeout_s = timeout_s
        self._locks: dict[LockKey, MemorySession] = {}
        self._sessions: set[MemorySession] = set()
        self._work: set[asyncio.Task[Any]] = set()
        self.context = contextvars.copy_context()
        """Of the server: what runs there outlives the client that asked for it."""

    def connect(self) -> MemorySession:
        """``StoreUnavailable`` while the server is down."""
        if not self.up:
            raise StoreUnavailable("the server is down")
        session = MemorySession()
        self._sessions.add(session)
        return session

    def end(self, session: MemorySession) -> None:
        """The session's locks are free, and nothing of it will happen any more."""
        session.ended = True
        session.lost = True
        self._sessions.discard(session)
        if session in self._locks.values():
            self._locks = {key: holder for key, holder in self._locks.items() if holder is not session}

    def end_holders(self, *keys: LockKey) -> None:
        for key in keys:
            if (holder := self._locks.get(key)) is not None:
                self.end(holder)

    def lock(self, key: LockKey, session: MemorySession) -> None:
        """``StoreUnavailable`` when another session holds it: no test waits for a lock that only a takeover frees."""
        if self._locks.setdefault(key, session) is not session:
            raise StoreUnavailable(f"the lock {key} is held")

    def stop(self) -> None:
        """The server dies: every session ends, what was under way did not happen, what is committed stays."""
        self.up = False
        for session in list(self._sessions):
            self.end(session)

    def start(self) -> None:
        self.up = True

    async def idle(self) -> None:
        """Returns when nothing is under way for which a hook waits."""
        while self._work:
            await asyncio.wait(set(self._work))

    async def on_session(self, session: MemorySession | None, operation: Operation, work: Callable[[], T]) -> T:
        """Work on a session: its result, ``CommitRefused``, ``OutcomeUnknown``, or what ``work`` raises."""
        if session is None or session.lost:
            raise OutcomeUnknown("the session is lost")
        course = self.faults.of(operation)
        if course is AT_ONCE:
            return self._happen(session, Fate.PROCEED, work)
        try:
            if isinstance(course, Course):
                outcome = self._happens_later(session, course, work)
                if course.after_s < self._timeout_s:
                    return await outcome
            else:
                outcome = self._start(self._serve(session, course, work))
            done, _ = await asyncio.wait({outcome}, timeout=self._timeout_s)
        except asyncio.CancelledError:
            session.lost = True
            raise
        if not done:
            session.lost = True
            raise OutcomeUnknown("no answer in time")
        return outcome.result()

    async def unlocked(self, operation: Operation, work: Callable[[], T]) -> T:
        """Work that needs no session of a host: its result or ``StoreUnavailable``."""
        session = self.connect()
        try:
            return await self.on_session(session, operation, work)
        except (OutcomeUnknown, CommitRefused) as error:
            raise StoreUnavailable(str(error)) from error
        finally:
            self.end(session)

    async def _serve(self, session: MemorySession, fate: Awaitable[Fate], work: Callable[[], T]) -> T:
        return self._happen(session, await fate, work)

    def _happens_later(self, session: MemorySession, course: Course, work: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def due() -> None:
            try:
                result = self._happen(session, course.fate, work)
            except Exception as error:  # noqa: BLE001 - it is the client's
                if not outcome.done():
                    outcome.set_exception(error)
                    outcome.exception()  # a client that left does not ask; asyncio must not complain about that
            else:
                if not outcome.done():
                    outcome.set_result(result)

        loop.call_later(course.after_s, due, context=self.context)
        return outcome

    def _happen(self, session: MemorySession, fate: Fate, work: Callable[[], T]) -> T:
        if session.ended or not self.up:
            raise OutcomeUnknown("the session was ended")
        if fate is Fate.REFUSED:
            raise CommitRefused("the server says no")
        if fate is Fate.LOST_BEFORE:
            self.end(session)
            raise OutcomeUnknown("the connection broke")
        result = work()
        if fate is Fate.LOST_AFTER:
            self.end(session)
            raise OutcomeUnknown("the connection broke")
        return result

    def _start(self, coroutine: Coroutine[object, object, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(coroutine, context=self.context)
        self._work.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """A client that left does not ask for the outcome; asyncio must not complain about that."""
        self._work.discard(task)
        if not task.cancelled():
            task.exception()
