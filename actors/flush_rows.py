"""The dirty rows of a host: those being flushed, and those since."""

from collections.abc import Callable, Sequence

from actors.dirty import DirtyRows, Home
from actors.domain.ids import Seq, UserId
from actors.domain.model import User
from actors.formats import Entry, Formats
from actors.ports import FlushBatch, ShardGift


class FlushRows:
    """``flushed_seq`` is how far the tables are, ``committed_seq`` how far memory is. The journal holds the rest.
    ``mirrored``: sessions are copied."""

    def __init__(self, flushed_seq: Seq, formats: Formats, *, mirrored: bool) -> None:
        self._formats = formats
        self._mirrored = mirrored
        self.flushed_seq = flushed_seq
        self.committed_seq = flushed_seq
        self._current = DirtyRows(formats, mirrored=mirrored)
        self._flushing: DirtyRows | None = None

    @property
    def journal_bytes(self) -> int:
        """Bytes of journal that no flush has cut yet."""
        return self._current.journal_bytes + (self._flushing.journal_bytes if self._flushing else 0)

    @property
    def behind(self) -> bool:
        return self.committed_seq > self.flushed_seq

    def is_dirty(self, user_id: UserId) -> bool:
        return user_id in self._current.users or (self._flushing is not None and user_id in self._flushing.users)

    def committed(self, seq: Seq, body_bytes: int, entries: Sequence[Entry], home_of: Callable[[UserId], Home]) -> None:
        """A journal row is committed and its events are in memory."""
        n = 0
        for user_id, events in entries:
            n = self._current.mark(user_id, home_of(user_id), seq, n, events)
        self._current.up_to = seq
        self._current.journal_bytes += body_bytes
        self.committed_seq = seq

    def begin(self, user_of: Callable[[UserId], User], gifts: Sequence[ShardGift]) -> FlushBatch:
        """The batch to flush now; until ``done`` or ``failed`` its rows stay dirty."""
        if self._flushing is not None:
            raise AssertionError("one flush at a time")
        self._flushing, self._current = self._current, DirtyRows(self._formats, mirrored=self._mirrored)
        self._flushing.up_to = self.committed_seq
        return self._flushing.images(user_of, gifts)

    def done(self) -> None:
        """The flush has committed."""
        if self._flushing is not None:
            self.flushed_seq = self._flushing.up_to
            self._flushing = None

    def failed(self) -> None:
        """The flush has not committed, for certain."""
        if self._flushing is not None:
            self._current.follow(self._flushing)
            self._flushing = None
