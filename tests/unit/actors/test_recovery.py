"""Loading and replaying in parts: what comes out must not depend on where the parts end."""

import asyncio
from collections.abc import Sequence

import pytest

from actors import recovery
from actors.domain.events import CommandApplied, Event, HeartbeatAccepted, InstallationChanged, SessionStarted
from actors.domain.ids import SECOND, CommandId, HostId, ItemId, Micros, Seq, SessionId, ShardId, Term, UserId, shard_of
from actors.domain.model import NOBODY, AppliedCommand, Library, LibraryItem, LiveSession, User
from actors.domain.user import with_live_session
from actors.flush_rows import FlushRows
from actors.formats import Entry
from actors.journal import encode_body
from actors.ports import StoreUnavailable
from actors.recovery import LostShard, replay_journal
from actors.release import release_formats
from actors.shard_loading import load_shards
from actors.territory import Shard, Territory
from tests.memory import Fate, MemoryDatabase, MemoryEntityLoader, MemoryHostStore, MemorySupervisorStore
from tests.support.actor import GAME, an_id

Loaded = Sequence[tuple[UserId, LiveSession]]
HOST = HostId(0)
FORMATS = release_formats()
AT = Micros(1_800_000_000 * SECOND)


def a_session(number: int) -> LiveSession:
    return LiveSession(SessionId(an_id(number)), GAME, AT, AT, 60)


def an_item(number: int) -> LibraryItem:
    return LibraryItem(ItemId(an_id(number)), GAME, AT, "purchase")


class Place:
    """A host that has just taken over: its shards in memory, nothing in them yet; ``played`` users in the tables."""

    def __init__(self, players: int) -> None:
        self.database = MemoryDatabase()
        self.loader = MemoryEntityLoader(self.database)
        self.store = MemoryHostStore(self.database, HOST)
        self.territory = Territory()
        self.touched: dict[UserId, ShardId] = {}
        self.rows = FlushRows(Seq(0), FORMATS, mirrored=False)
        self.users = [UserId(an_id(1_000_000 + number)) for number in range(players)]
        for shard in range(256):
            self.territory.add(Shard(ShardId(shard), Term(1)))
        tables = self.database.tables
        for number, user_id in enumerate(self.users):
            tables.sessions[SessionId(an_id(number))] = (user_id, a_session(number))
            tables.items[ItemId(an_id(number))] = (user_id, an_item(number))

    async def take_over(self, *journal: list[Entry]) -> None:
        supervisor = MemorySupervisorStore(self.database)
        await supervisor.prepare(1)
        await supervisor.ensure_hosts([HOST])
        self.database.tables.journal[HOST] = {Seq(n): encode_body(FORMATS, row) for n, row in enumerate(journal, 1)}
        await self.store.take_over("here:1")
        await load_shards(self.loader, self.territory, self.install)

    def library(self, number: int) -> Library:
        library = self.user(number).library
        assert library is not None
        return library

    def install(self, shard: Shard, sessions: Loaded) -> None:
        for user_id, session in sessions:
            shard.users[user_id] = with_live_session(shard.users.get(user_id, NOBODY), session)
            self.territory.live_sessions += 1

    async def replay(self) -> int:
        return await replay_journal(
            store=self.store,
            loader=self.loader,
            territory=self.territory,
            rows=self.rows,
            formats=FORMATS,
            touch=self.touched.__setitem__,
        )

    def user(self, number: int) -> User:
        user_id = self.users[number]
        shard = self.territory.get(shard_of(user_id))
        assert shard is not None
        return shard.users[user_id]


def journal_of(users: list[UserId]) -> list[list[Entry]]:
    """Rows of one to five entries: beats for all; later a library that changes, a start with its command id."""
    entries: list[Entry] = []
    for turn in range(4):
        for number, user_id in enumerate(users):
            at = Micros(AT + (turn + 1) * SECOND)
            events: list[Event] = [HeartbeatAccepted(SessionId(an_id(number)), at, 60 + turn)]
            if turn == 2 and number % 3 == 0:
                events.append(InstallationChanged(GAME, "installed", at))
            if turn == 3 and number % 5 == 0:
                events.append(SessionStarted(a_session(500_000 + number)))
                events.append(CommandApplied(AppliedCommand(CommandId(an_id(number)), at, b"")))
            entries.append((user_id, events))
    rows: list[list[Entry]] = []
    while entries:
        size = len(rows) % 5 + 1
        rows.append(entries[:size])
        entries = entries[size:]
    return rows


@pytest.mark.parametrize("slice_entries", [1, 7, 1_000_000])
async def test_a_journal_replays_the_same_however_it_is_sliced(
    monkeypatch: pytest.MonkeyPatch, slice_entries: int
) -> None:
    """Promise 1: memory is the tables plus the journal, in order, and every row is dirty until a flush."""
    monkeypatch.setattr(recovery, "SLICE_ENTRIES", slice_entries)
    place = Place(30)
    rows = journal_of(place.users)
    await place.take_over(*rows)

    assert await place.replay() == len(rows)

    assert place.territory.live_sessions == 30 + 6
    for number in range(30):
        user = place.user(number)
        first = user.live[0]
        assert (first.last_heartbeat_at, first.interval_s) == (AT + 4 * SECOND, 63)
        assert len(user.live) == (2 if number % 5 == 0 else 1)
        changed = number % 3 == 0 or number % 5 == 0
        assert (user.library is not None) == changed, "what no event needs is not loaded"
        if number % 3 == 0:
            assert place.library(number).items[GAME].installation_status == "installed"
        assert ((user.commands or {}).keys() == {an_id(number)}) == (number % 5 == 0)
        assert place.rows.is_dirty(place.users[number])
        assert (place.users[number] in place.touched) == changed, "whose library was loaded may leave memory again"
    assert (place.rows.committed_seq, place.rows.flushed_seq) == (len(rows), 0)


async def test_a_replay_goes_on_from_what_an_earlier_slice_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables are older than the journal: loading a library again would undo what was applied to it."""
    monkeypatch.setattr(recovery, "SLICE_ENTRIES", 1)
    place = Place(1)
    user = place.users[0]
    events: list[Event] = [
        InstallationChanged(GAME, "installing", AT),
        InstallationChanged(GAME, "error", Micros(AT + 1)),
        HeartbeatAccepted(SessionId(an_id(0)), Micros(AT + SECOND), 60),
    ]
    journal: list[list[Entry]] = [[(user, [event])] for event in events]
    await place.take_over(*journal)
    await place.replay()
    assert place.library(0).items[GAME].installation_status == "error"


async def test_other_tasks_run_while_a_long_journal_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 7: a takeover answers pings and metrics meanwhile."""
    monkeypatch.setattr(recovery, "SLICE_ENTRIES", 10)
    place = Place(30)
    beats = [HeartbeatAccepted(SessionId(an_id(number)), AT, 60) for number in range(30)]
    beaten: list[Entry] = [(user, [beat]) for user, beat in zip(place.users, beats, strict=True)]
    await place.take_over(*([entry] for entry in beaten * 10))
    turns = 0

    async def breathe() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(breathe())
    await place.replay()
    other.cancel()
    assert turns >= 300 / 10, "a turn after each slice, for nothing here needs the store"


async def test_a_journal_about_a_shard_of_another_host_stops_the_takeover() -> None:
    place = Place(1)
    await place.take_over([(place.users[0], [HeartbeatAccepted(SessionId(an_id(0)), AT, 60)])])
    shard = place.territory.get(shard_of(place.users[0]))
    assert shard is not None
    shard.lifecycle.move(type(shard.lifecycle.state).FORGOTTEN)
    place.territory._shards.pop(shard.shard_id)
    with pytest.raises(LostShard):
        await place.replay()


async def test_every_shard_is_handed_over_once_with_its_sessions() -> None:
    place = Place(300)
    handed: list[ShardId] = []
    found: dict[UserId, LiveSession] = {}

    def loaded(shard: Shard, sessions: Loaded) -> None:
        handed.append(shard.shard_id)
        for user_id, session in sessions:
            assert shard_of(user_id) == shard.shard_id
            found[user_id] = session

    await load_shards(place.loader, place.territory, loaded)
    assert sorted(handed) == list(range(256))
    assert found == {user_id: a_session(number) for number, user_id in enumerate(place.users)}


async def test_shards_that_came_before_the_store_went_away_are_kept() -> None:
    """The others are loaded again: the caller sees which are still missing."""
    place = Place(10)
    handed: list[ShardId] = []
    place.database.faults.plan("read_shard", *([Fate.PROCEED] * 5), Fate.LOST_AFTER)
    with pytest.raises(StoreUnavailable):
        await load_shards(place.loader, place.territory, lambda shard, _: handed.append(shard.shard_id))
    before = len(handed)
    await place.database.idle()
    assert before == len(handed) == 5, "nothing goes on behind the caller's back"
