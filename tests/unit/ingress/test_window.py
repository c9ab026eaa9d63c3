"""The contiguous prefix of what is done, and the end of a window."""

import asyncio
import random

from actors.ingress.ports import Partition, Record
from actors.ingress.window import PartitionWindow


def window(max_records: int = 1_000, max_bytes: int = 1_000_000) -> PartitionWindow:
    return PartitionWindow(Partition("t", 0), max_records=max_records, max_bytes=max_bytes)


def record(offset: int, size: int = 1) -> Record:
    return Record(partition=Partition("t", 0), offset=offset, timestamp_ms=0, key=None, value=b"x" * size)


async def test_the_offset_never_passes_a_record_that_is_not_done() -> None:
    """R-EVT-3: in whatever order records are done, and also when offsets have gaps."""
    offsets = sorted(random.Random(1).sample(range(1_000), 200))
    subject = window()
    for offset in offsets:
        assert subject.add(record(offset))
    waiting = set(offsets)
    for offset in random.Random(2).sample(offsets, len(offsets)):
        subject.done(offset)
        waiting.discard(offset)
        commit = subject.to_commit()
        assert commit is None or all(commit <= other for other in waiting)
    assert subject.to_commit() == offsets[-1] + 1
    assert len(subject) == 0


async def test_a_committed_offset_is_not_committed_again() -> None:
    subject = window()
    subject.add(record(5))
    assert subject.to_commit() is None
    subject.done(5)
    assert subject.to_commit() == 6
    subject.committed(6)
    assert subject.to_commit() is None


async def test_a_record_that_comes_twice_is_under_way_once() -> None:
    subject = window()
    subject.add(record(0))
    subject.add(record(1))
    subject.done(1)
    assert not subject.add(record(0))
    assert not subject.add(record(1))
    subject.done(0)
    assert subject.to_commit() == 2


async def test_a_window_is_full_by_number_or_by_bytes_and_has_room_again_below_half() -> None:
    """Promise 6."""
    for subject, size in ((window(max_records=4), 1), (window(max_bytes=4_000), 1_000)):
        for offset in range(4):
            assert not subject.is_full
            subject.add(record(offset, size))
        assert subject.is_full
        subject.done(0)
        assert not subject.is_full
        assert not subject.has_room
        subject.done(1)
        assert subject.has_room


async def test_a_draining_window_waits_for_what_is_under_way_and_counts_it() -> None:
    """ARCHITECTURE.md, "Kafka": on revoke stop, wait briefly, commit, drop."""
    subject = window()
    subject.add(record(0))
    release = asyncio.Event()

    async def attempt() -> None:
        with subject.under_way():
            await release.wait()
            subject.done(0)

    attempts = asyncio.create_task(attempt())
    await asyncio.sleep(0)
    draining = asyncio.create_task(subject.drain(grace_s=60))
    await asyncio.sleep(0)
    assert not subject.is_open
    assert not draining.done()
    release.set()
    await draining
    await attempts
    assert subject.to_commit() == 1


async def test_a_closed_window_ignores_what_still_comes_in() -> None:
    """The partition may be somebody else's."""
    subject = window()
    subject.add(record(0))
    subject.close()
    subject.done(0)
    assert subject.to_commit() is None


async def test_a_rest_ends_when_the_window_does() -> None:
    subject = window()
    resting = asyncio.create_task(subject.rest(3_600))
    await asyncio.sleep(0)
    await subject.drain(0)
    await asyncio.wait_for(resting, 5)
