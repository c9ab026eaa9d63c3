"""Brings copies to where they are kept, beside everything else: nobody waits for it, and nothing piles up.

Of one user only the newest copy waits. What finds no room, what has waited too long and what could not be written is
dropped and counted: a later flush brings the next one.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from msgspec import Struct

from actors.copies.metrics import CopyMetrics
from actors.copies.ports import CopiesUnavailable, CopyWriter
from actors.copies.values import LibraryCopy, SessionCopy
from actors.domain.ids import UserId

log = logging.getLogger(__name__)

C = TypeVar("C")


class QueueLimits(Struct, frozen=True, kw_only=True):
    """``max_age_s``: a process that stood still must not write what it meant to write before."""

    max_users: int = 10_000
    max_sessions: int = 50_000
    users_per_write: int = 50
    sessions_per_write: int = 500
    max_age_s: float = 10.0


class _Waiting(Generic[C]):
    """Copies by key with the time they came; the newest of a key, in the order in which the keys came."""

    def __init__(self, limit: int, loop_time: Callable[[], float]) -> None:
        self._limit = limit
        self._loop_time = loop_time
        self._copies: OrderedDict[Hashable, tuple[float, C]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._copies)

    def put(self, key: Hashable, copy: C) -> bool:
        """False when there is no room for it."""
        if key not in self._copies and len(self._copies) >= self._limit:
            return False
        self._copies[key] = (self._loop_time(), copy)
        return True

    def take(self, count: int, max_age_s: float) -> tuple[list[C], int]:
        """The next ones, and how many were too old."""
        oldest = self._loop_time() - max_age_s
        taken: list[C] = []
        late = 0
        while self._copies and len(taken) < count:
            _, (at, copy) = self._copies.popitem(last=False)
            if at < oldest:
                late += 1
            else:
                taken.append(copy)
        return taken, late


class CopyQueue:
    """Writes as long as something waits, one batch at a time. ``failed`` is told of users whose copy was dropped."""

    def __init__(
        self,
        writer: CopyWriter,
        *,
        limits: QueueLimits,
        metrics: CopyMetrics,
        loop_time: Callable[[], float],
        failed: Callable[[UserId], None],
    ) -> None:
        self._writer = writer
        self._limits = limits
        self._metrics = metrics
        self._failed = failed
        self._libraries: _Waiting[LibraryCopy] = _Waiting(limits.max_users, loop_time)
        self._sessions: _Waiting[SessionCopy] = _Waiting(limits.max_sessions, loop_time)
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._libraries) + len(self._sessions)

    def put(self, libraries: list[LibraryCopy], sessions: list[SessionCopy]) -> None:
        for library in libraries:
            if not self._libraries.put(library.user_id, library):
                self._drop([library], [])
        for session in sessions:
            if not self._sessions.put((session.user_id, session.product_id), session):
                self._drop([], [session])
        if len(self) and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._write(), name="copies")

    async def close(self) -> None:
        """What waits is dropped."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _write(self) -> None:
        limits = self._limits
        while len(self):
            libraries, late = self._libraries.take(limits.users_per_write, limits.max_age_s)
            sessions, too_late = self._sessions.take(limits.sessions_per_write, limits.max_age_s)
            self._metrics.dropped += late + too_late
            if not libraries and not sessions:
                continue
            try:
                await self._writer.write(libraries, sessions)
            except CopiesUnavailable:
                self._drop(libraries, sessions)
            except Exception:  # nobody waits for this task: what fails is logged, and the next is tried
                log.exception("copies could not be written; going on")
                self._drop(libraries, sessions)
            else:
                self._metrics.written += len(libraries) + len(sessions)

    def _drop(self, libraries: list[LibraryCopy], sessions: list[SessionCopy]) -> None:
        self._metrics.dropped += len(libraries) + len(sessions)
        for library in libraries:
            self._failed(library.user_id)
