"""The records of one partition that are under way, and how far everything before is done.

::

    open -> draining -> closed        a revoked partition: nothing more is begun, then nothing counts any more

The group's offset may only pass what is durable (R-EVT-3), so what is committed is the end of the contiguous prefix of
done records; one slow user holds back the offset, never the others' effects.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from actors.ingress.ports import Partition, Record


class _Entry:
    __slots__ = ("done", "record")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.done = False


class PartitionWindow:
    """Bounded by whoever adds: between ``is_full`` and ``has_room`` is a gap, so that pausing does not flutter."""

    def __init__(self, partition: Partition, *, max_records: int, max_bytes: int) -> None:
        self.partition = partition
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._entries: deque[_Entry] = deque()
        self._by_offset: dict[int, _Entry] = {}
        self._bytes = 0
        self._last = -1
        self._prefix: int | None = None
        self._committed: int | None = None
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._ending = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        """Records that are not yet passed by the prefix."""
        return len(self._entries)

    @property
    def is_open(self) -> bool:
        return not self._ending.is_set()

    @property
    def is_full(self) -> bool:
        return len(self._entries) >= self._max_records or self._bytes >= self._max_bytes

    @property
    def has_room(self) -> bool:
        return len(self._entries) * 2 <= self._max_records and self._bytes * 2 <= self._max_bytes

    def add(self, record: Record) -> bool:
        """False for a record that was added before: it is under way already, or done."""
        if record.offset <= self._last:
            return False
        self._last = record.offset
        entry = _Entry(record)
        self._entries.append(entry)
        self._by_offset[record.offset] = entry
        self._bytes += record.size_bytes
        return True

    def done(self, offset: int) -> None:
        """The record's effect is durable, or its dead letter is."""
        if (entry := self._by_offset.pop(offset, None)) is None:
            return
        entry.done = True
        while self._entries and self._entries[0].done:
            passed = self._entries.popleft().record
            self._bytes -= passed.size_bytes
            self._prefix = passed.offset + 1

    def to_commit(self) -> int | None:
        """The offset after the contiguous prefix, if it has moved since ``committed``; None once closed."""
        return None if self._closed or self._prefix == self._committed else self._prefix

    def committed(self, offset: int) -> None:
        self._committed = offset

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Around one attempt, its ``done`` included."""
        self._under_way += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()

    async def rest(self, delay_s: float) -> None:
        """Sleeps, but no longer than the window is open."""
        await wait_at_most(self._ending, delay_s)

    async def drain(self, grace_s: float) -> None:
        """Nothing more is begun; waits for the attempts under way, at most ``grace_s``."""
        self._ending.set()
        await wait_at_most(self._quiet, grace_s)

    def close(self) -> None:
        """What still comes in is ignored: the partition may be somebody else's now."""
        self._ending.set()
        self._closed = True


async def wait_at_most(event: asyncio.Event, limit_s: float) -> None:
    """Returns when the event is set, or after ``limit_s`` seconds."""
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        return
