"""Decides what is copied, and when: the libraries that a flush changes, and those that were read without a fresh copy.

So the cost follows changes and readers, not users. A library is copied at most every ``min_interval_s``: what changes
more often is copied with a later flush. Images are taken when a flush begins, at a commit boundary, and handed on when
it has committed: the fence in that flush proves that nobody else served the user meanwhile.
"""

from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

from actors.copies.metrics import CopyMetrics
from actors.copies.ports import CopyWriter
from actors.copies.queue import CopyQueue, QueueLimits
from actors.copies.values import LibraryCopy, SessionCopy, Version
from actors.domain.ids import Micros, ProductId, Seq, UserId, shard_of
from actors.domain.model import LiveSession
from actors.ports import FlushBatch
from actors.territory import Territory


class CopyLimits(Struct, frozen=True, kw_only=True):
    """Times in real seconds. ``renew_s``: a copy that is read and older than this is written again; it must be well
    below the time that copies are kept. ``max_remembered``: users whose last copy is remembered."""

    min_interval_s: float = 5.0
    renew_s: float = 300.0
    max_wanted: int = 20_000
    max_remembered: int = 100_000
    queue: QueueLimits = QueueLimits()


class _Images(Struct):
    libraries: list[LibraryCopy]
    sessions: list[SessionCopy]


class CopyKeeper:
    """``acknowledged_until`` tells the service time before which all that was decided is committed, now."""

    def __init__(
        self,
        writer: CopyWriter,
        *,
        territory: Territory,
        limits: CopyLimits,
        metrics: CopyMetrics,
        acknowledged_until: Callable[[], Micros],
        loop_time: Callable[[], float],
    ) -> None:
        self._queue = CopyQueue(writer, limits=limits.queue, metrics=metrics, loop_time=loop_time, failed=self._forget)
        self._territory = territory
        self._limits = limits
        self._acknowledged_until = acknowledged_until
        self._loop_time = loop_time
        self._copied_at: OrderedDict[UserId, float] = OrderedDict()
        self._wanted: dict[UserId, None] = {}
        self._images: _Images | None = None

    @property
    def waiting(self) -> bool:
        """Somebody's copy is due though nothing may have changed: the next flush proves what it says."""
        return any(self._is_due(user_id) for user_id in self._wanted)

    def was_read(self, user_id: UserId) -> None:
        """The user looks at the library: from now on there is to be a copy of it."""
        at = self._copied_at.get(user_id)
        if at is None or self._loop_time() - at >= self._limits.renew_s:
            self._want(user_id)

    def _forget(self, user_id: UserId) -> None:
        """The user's last copy was not written."""
        self._copied_at.pop(user_id, None)

    def begin(self, batch: FlushBatch) -> None:
        """Takes the images that this flush is to prove: at a commit boundary, with the batch."""
        for rows in (batch.items, batch.removed, batch.returned, batch.categories, batch.categories_deleted):
            for user_id, _ in rows:
                self._want(user_id)
        self._images = _Images(libraries=self._libraries(batch.up_to), sessions=self._sessions(batch))

    def settled(self, done: bool) -> None:
        """The flush has committed, or has not, for certain."""
        images, self._images = self._images, None
        if images is None:
            return
        if not done:
            for copy in images.libraries:
                self._want(copy.user_id)
            return
        now = self._loop_time()
        for copy in images.libraries:
            self._copied_at[copy.user_id] = now
            self._copied_at.move_to_end(copy.user_id)
        while len(self._copied_at) > self._limits.max_remembered:
            self._copied_at.popitem(last=False)
        self._queue.put(images.libraries, images.sessions)

    async def close(self) -> None:
        await self._queue.close()

    def _want(self, user_id: UserId) -> None:
        if len(self._wanted) < self._limits.max_wanted:
            self._wanted[user_id] = None

    def _is_due(self, user_id: UserId) -> bool:
        at = self._copied_at.get(user_id)
        return at is None or self._loop_time() - at >= self._limits.min_interval_s

    def _libraries(self, up_to: Seq) -> list[LibraryCopy]:
        flushed_at = self._acknowledged_until()
        copies: list[LibraryCopy] = []
        for user_id in [user_id for user_id in self._wanted if self._is_due(user_id)]:
            del self._wanted[user_id]
            shard = self._territory.get(shard_of(user_id))
            library = None if shard is None else self._territory.user(shard, user_id).library
            if shard is not None and library is not None:
                version = Version(shard.term, up_to)
                copies.append(LibraryCopy(user_id=user_id, version=version, flushed_at=flushed_at, library=library))
        return copies

    def _sessions(self, batch: FlushBatch) -> list[SessionCopy]:
        """A session that ended and one that began since, of the same product: the live one is what there is."""
        states: dict[tuple[UserId, ProductId], LiveSession | None] = {
            (user_id, session.product_id): None for user_id, session in batch.sessions_ended
        }
        for user_id, live in (*batch.sessions_live, *batch.mirrored_beats):
            states[user_id, live.product_id] = live
        copies: list[SessionCopy] = []
        for (user_id, product_id), session in states.items():
            shard = self._territory.get(shard_of(user_id))
            if shard is not None:
                version = Version(shard.term, batch.up_to)
                copies.append(SessionCopy(user_id=user_id, product_id=product_id, version=version, session=session))
        return copies
