"""Which copies are made, when, and what becomes of them when Redis is slow or away (R-DB-2)."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from actors.copies.keeper import CopyKeeper, CopyLimits
from actors.copies.metrics import CopyMetrics
from actors.copies.mirror import is_mirrored
from actors.copies.ports import CopiesUnavailable
from actors.copies.queue import QueueLimits
from actors.copies.values import LibraryCopy, SessionCopy, Version
from actors.domain.events import HeartbeatAccepted
from actors.domain.ids import SECOND, ItemId, Micros, ProductId, Seq, SessionId, Term, UserId, shard_of
from actors.domain.model import EndedSession, Library, LibraryItem, LiveSession, User
from actors.flush_rows import FlushRows
from actors.ports import FlushBatch
from actors.release import release_formats
from actors.territory import Shard, Territory
from tests.support.virtual_time import in_virtual_time

GAME = ProductId(UUID(int=9).bytes)
LIMITS = CopyLimits(min_interval_s=5.0, renew_s=60.0, queue=QueueLimits(max_users=10, users_per_write=4, max_age_s=3.0))


def item(played_s: int = 0) -> LibraryItem:
    return LibraryItem(ItemId(GAME), GAME, Micros(1), "purchase", total_playtime_s=played_s)


class Slow:
    """A writer that takes its time; ``written`` is what arrived."""

    def __init__(self) -> None:
        self.takes_s = 0.0
        self.down = False
        self.bug: Exception | None = None
        self.written: list[LibraryCopy] = []
        self.sessions: list[SessionCopy] = []
        self.writes = 0

    async def write(self, libraries: Sequence[LibraryCopy], sessions: Sequence[SessionCopy]) -> None:
        self.writes += 1
        await asyncio.sleep(self.takes_s)
        if self.down:
            raise CopiesUnavailable
        if self.bug is not None:
            bug, self.bug = self.bug, None
            raise bug
        self.written += libraries
        self.sessions += sessions


class World:
    """A host's memory with flushes done by hand. Made on the loop."""

    def __init__(self) -> None:
        self.writer = Slow()
        self.metrics = CopyMetrics()
        self.territory = Territory()
        self.seq = 0
        self.keeper = CopyKeeper(
            self.writer,
            territory=self.territory,
            limits=LIMITS,
            metrics=self.metrics,
            acknowledged_until=lambda: Micros(int(asyncio.get_running_loop().time() * SECOND)),
            loop_time=asyncio.get_running_loop().time,
        )

    def user(self, number: int) -> UserId:
        user_id = UserId(UUID(int=number).bytes)
        shard = self.territory.get(shard_of(user_id))
        if shard is None:
            shard = Shard(shard_of(user_id), Term(3))
            self.territory.add(shard)
        shard.users[user_id] = User(library=Library(items={GAME: item()}))
        return user_id

    async def flush(self, *changed: UserId, done: bool = True, **rows: object) -> None:
        self.seq += 1
        batch = FlushBatch(up_to=Seq(self.seq), items=[(user_id, item()) for user_id in changed], **rows)  # type: ignore[arg-type]
        self.keeper.begin(batch)
        await asyncio.sleep(0.01)
        self.keeper.settled(done)
        await asyncio.sleep(0.01)


def test_a_changed_library_is_copied_after_its_flush_and_not_before() -> None:
    async def body() -> None:
        world = World()
        user_id = world.user(1)
        world.keeper.begin(FlushBatch(up_to=Seq(7), items=[(user_id, item())]))
        await asyncio.sleep(1.0)
        assert not world.writer.written
        world.keeper.settled(True)
        await asyncio.sleep(0.1)
        (copy,) = world.writer.written
        assert copy == LibraryCopy(
            user_id=user_id,
            version=Version(Term(3), Seq(7)),
            flushed_at=Micros(0),
            library=Library(items={GAME: item()}),
        )

    in_virtual_time(body)


def test_a_flush_that_failed_copies_nothing_and_the_next_one_does() -> None:
    async def body() -> None:
        world = World()
        user_id = world.user(1)
        await world.flush(user_id, done=False)
        assert not world.writer.written
        assert world.keeper.waiting
        await world.flush()
        assert [copy.version.seq for copy in world.writer.written] == [2]

    in_virtual_time(body)


def test_who_changes_all_the_time_is_copied_now_and_then() -> None:
    """The last change is copied too, by a flush that it asks for."""

    async def body() -> None:
        world = World()
        user_id = world.user(1)
        for _ in range(100):
            await world.flush(user_id)
            await asyncio.sleep(0.08)
        assert len(world.writer.written) == 2
        assert not world.keeper.waiting
        await asyncio.sleep(LIMITS.min_interval_s)
        assert world.keeper.waiting
        await world.flush()
        assert world.writer.written[-1].version.seq == 101

    in_virtual_time(body)


def test_who_reads_has_a_copy_and_who_does_not_costs_nothing() -> None:
    async def body() -> None:
        world = World()
        reader, _other = world.user(1), world.user(2)
        world.keeper.was_read(reader)
        assert world.keeper.waiting
        await world.flush()
        world.keeper.was_read(reader)
        assert not world.keeper.waiting
        await asyncio.sleep(LIMITS.renew_s)
        world.keeper.was_read(reader)
        await world.flush()
        assert [copy.user_id for copy in world.writer.written] == [reader, reader]

    in_virtual_time(body)


def test_a_slow_redis_holds_up_nothing_and_nothing_piles_up() -> None:
    """Bounded by users; of a user only the newest waits; what has waited too long is dropped (promise 6)."""

    async def body() -> None:
        world = World()
        users = [world.user(number) for number in range(40)]
        world.writer.takes_s = 2.0
        began = asyncio.get_running_loop().time()
        await world.flush(*users)
        assert asyncio.get_running_loop().time() - began < 0.1
        await asyncio.sleep(30)
        assert len(world.writer.written) == 8, "two writes of four, then the rest was too old"
        assert world.metrics.dropped == 40 - 8
        assert world.metrics.written == 8

    in_virtual_time(body)


def test_what_could_not_be_written_is_copied_again_when_it_is_read() -> None:
    async def body() -> None:
        world = World()
        user_id = world.user(1)
        world.writer.down = True
        await world.flush(user_id)
        assert world.metrics.dropped == 1
        world.writer.down = False
        world.keeper.was_read(user_id)
        await world.flush()
        assert len(world.writer.written) == 1

    in_virtual_time(body)


def test_a_bug_of_the_writers_costs_one_write_and_is_counted() -> None:
    """Promise 6: nothing is dropped without a trace, and what waits behind it is written."""

    async def body() -> None:
        world = World()
        users = [world.user(number) for number in range(10)]
        world.writer.bug = TypeError("a bug")
        await world.flush(*users)
        assert (world.metrics.dropped, world.metrics.written) == (4, 6)
        for user_id in users:
            world.keeper.was_read(user_id)
        await world.flush()
        assert {copy.user_id for copy in world.writer.written} == set(users)

    in_virtual_time(body)


def test_of_a_product_the_live_session_is_mirrored_whatever_else_ended() -> None:
    """A take-over ends one session and begins another, in one flush."""

    async def body() -> None:
        world = World()
        user_id = world.user(1)
        live = LiveSession(SessionId(b"n" * 16), GAME, Micros(5), Micros(5), 60)
        over = EndedSession(SessionId(b"o" * 16), GAME, Micros(1), Micros(2), 60, Micros(2), 0, "takeover")
        await world.flush(sessions_live=[(user_id, live)], sessions_ended=[(user_id, over)])
        assert [copy.session for copy in world.writer.sessions] == [live]
        await world.flush(sessions_ended=[(user_id, over)])
        assert world.writer.sessions[-1].session is None

    in_virtual_time(body)


def test_one_beat_in_five_is_mirrored_and_sessions_take_turns() -> None:
    """The mirror must not cost what the beat costs."""
    interval_s, beats = 60, 1_000
    in_first_minute = 0
    for number in range(256):
        session_id = SessionId(bytes([number]) + b"s" * 15)
        mirrored = [
            is_mirrored(HeartbeatAccepted(session_id, Micros((7 + beat * interval_s) * SECOND), interval_s))
            for beat in range(beats)
        ]
        assert sum(mirrored) == beats / 5
        in_first_minute += mirrored[0]
    assert 40 <= in_first_minute <= 62


@pytest.mark.parametrize("mirrored", [True, False])
def test_beats_are_kept_for_a_mirror_only_where_there_is_one(mirrored: bool) -> None:
    """Without Redis a heartbeat costs nothing of the mirror's."""
    user_id, live = UserId(b"u" * 16), LiveSession(SessionId(bytes(16)), GAME, Micros(0), Micros(0), 60)
    user = User(library=Library(items={GAME: item()}), live=(live,))
    rows = FlushRows(Seq(0), release_formats(), mirrored=mirrored)
    beat = HeartbeatAccepted(live.session_id, Micros(1), 60)
    assert is_mirrored(beat)
    rows.committed(Seq(1), 10, [(user_id, [beat])], lambda user_id: (shard_of(user_id), Term(1)))
    batch = rows.begin(lambda _: user, [])
    assert [session for _, session in batch.mirrored_beats] == [live] * mirrored
    assert len(batch.heartbeats) == 1
