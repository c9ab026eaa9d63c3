"""What a fresh process does after it took a host over: rebuild memory from the tables and the journal.

The tables are the state as of ``flushed_seq``, the journal has the events since. Live sessions come in bulk, so that
time-outs happen for clients that never return; other aggregates only for users whose events need them.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from actors.dirty import Home
from actors.domain.events import CommandApplied, Event, HeartbeatAccepted
from actors.domain.ids import Seq, ShardId, UserId, shard_of
from actors.domain.model import User
from actors.domain.user import evolve
from actors.flush_rows import FlushRows
from actors.formats import Entry, Formats
from actors.journal import decode_body
from actors.loading import with_commands, with_library
from actors.ports import EntityLoader, HostStore
from actors.territory import Shard, Territory

SLICE_ENTRIES = 2_000
"""Entries of the journal that are decoded at once, and applied in one turn of the loop (10 ms): a journal at its
high-water mark is not to be held decoded, and links and metrics are to be answered meanwhile."""
LOAD_CHUNK = 2_000

Row = tuple[Seq, int, list[tuple[UserId, list[Event]]]]
"""A journal row, the size of its body, its entries."""


class LostShard(Exception):
    """A journal row is about a shard this host does not own: the store was tampered with. Serve nothing."""


async def replay_journal(
    *,
    store: HostStore,
    loader: EntityLoader,
    territory: Territory,
    rows: FlushRows,
    formats: Formats,
    touch: Callable[[UserId, ShardId], None],
) -> int:
    """Brings memory to the last committed row and marks what the tables lack; the number of rows replayed.

    ``touch`` is told of every user of whom more than live sessions is in memory now, so that they may leave it again.
    Raises ``UnreadableJournal``, ``StoreUnavailable`` or ``LostShard``; nothing is served then.
    """
    replay = Replay(loader, territory, rows, touch)
    part: list[Row] = []
    size = 0
    async for seq, body in store.replay(rows.flushed_seq):
        entries = list(decode_body(formats, body))
        part.append((seq, len(body), entries))
        size += len(entries)
        if size >= SLICE_ENTRIES:
            await replay.apply(part)
            part, size = [], 0
            await asyncio.sleep(0)
    await replay.apply(part)
    return replay.applied


class Replay:
    """Applies journal rows in their order. What the tables say of a user is as of ``flushed_seq`` all the time, so it
    is loaded when the first event needs it."""

    def __init__(
        self,
        loader: EntityLoader,
        territory: Territory,
        rows: FlushRows,
        touch: Callable[[UserId, ShardId], None],
    ) -> None:
        self._loader = loader
        self._touch = touch
        self._territory = territory
        self._rows = rows
        self._shards: dict[UserId, Shard] = {}
        self.applied = 0

    async def apply(self, part: Sequence[Row]) -> None:
        self._shards = {user_id: shard_in(self._territory, user_id) for _, _, entries in part for user_id, _ in entries}
        await self._load([entry for _, _, entries in part for entry in entries])
        for seq, size, entries in part:
            for user_id, events in entries:
                self._evolve(user_id, events)
            self._rows.committed(seq, size, entries, self._home)
        self.applied += len(part)

    def _evolve(self, user_id: UserId, events: Sequence[Event]) -> None:
        before = user = self._user(user_id)
        for event in events:
            user = evolve(user, event)
        self._territory.live_sessions += len(user.live) - len(before.live)
        self._shards[user_id].users[user_id] = user

    def _home(self, user_id: UserId) -> Home:
        shard = self._shards[user_id]
        return shard.shard_id, shard.term

    async def _load(self, entries: Iterable[Entry]) -> None:
        libraries: dict[UserId, None] = {}
        commands: dict[UserId, None] = {}
        for user_id, events in entries:
            for event in events:
                if type(event) is CommandApplied:
                    commands[user_id] = None
                elif type(event) is not HeartbeatAccepted:
                    libraries[user_id] = None
        for chunk in _chunks([user_id for user_id in libraries if self._user(user_id).library is None]):
            for user_id, library in (await self._loader.libraries(chunk)).items():
                self._merge(user_id, with_library(library))
        for chunk in _chunks([user_id for user_id in commands if self._user(user_id).commands is None]):
            for user_id, applied in (await self._loader.commands(chunk)).items():
                self._merge(user_id, with_commands(applied))

    def _merge(self, user_id: UserId, merge: Callable[[User], User]) -> None:
        shard = self._shards[user_id]
        shard.users[user_id] = merge(self._user(user_id))
        self._touch(user_id, shard.shard_id)

    def _user(self, user_id: UserId) -> User:
        return self._territory.user(self._shards[user_id], user_id)


def shard_in(territory: Territory, user_id: UserId) -> Shard:
    """The user's shard; ``LostShard`` when it is not ours."""
    shard = territory.get(shard_of(user_id))
    if shard is None:
        raise LostShard(f"shard {shard_of(user_id)}")
    return shard


def _chunks(users: list[UserId]) -> Iterable[list[UserId]]:
    return (users[first : first + LOAD_CHUNK] for first in range(0, len(users), LOAD_CHUNK))
