"""What a fresh process does after it took a host over: rebuild memory from the tables and the journal.

The tables are the state as of ``flushed_seq``, the journal has the events since. Live sessions come in bulk, so that
time-outs happen for clients that never return; other aggregates only for users whose events need them.
"""

import logging
from collections.abc import Iterable

from actors.dirty import Home
from actors.domain.events import CommandApplied, Event, HeartbeatAccepted
from actors.domain.ids import Seq, UserId, shard_of
from actors.domain.user import evolve
from actors.flush_rows import FlushRows
from actors.formats import Entry, Formats
from actors.journal import decode_body
from actors.loading import with_commands, with_library
from actors.ports import EntityLoader, HostStore
from actors.territory import Shard, Territory

log = logging.getLogger(__name__)

LOAD_CHUNK = 2_000


class LostShard(Exception):
    """A journal row is about a shard this host does not own: the store was tampered with. Serve nothing."""


async def replay_journal(
    store: HostStore, loader: EntityLoader, territory: Territory, rows: FlushRows, formats: Formats
) -> int:
    """Brings memory to the last committed row and marks what the tables lack; the number of rows replayed.

    Raises ``UnreadableJournal``, ``StoreUnavailable`` or ``LostShard``; nothing is served then.
    """

    def home(user_id: UserId) -> Home:
        shard = shard_in(territory, user_id)
        return shard.shard_id, shard.term

    journal: list[tuple[Seq, int, list[Entry]]] = []
    async for seq, body in store.replay(rows.flushed_seq):
        journal.append((seq, len(body), list(decode_body(formats, body))))
    entries = [entry for _, _, row in journal for entry in row]
    await _load(loader, territory, entries)
    for seq, size, row in journal:
        for user_id, events in row:
            shard = shard_in(territory, user_id)
            user = territory.user(shard, user_id)
            for event in events:
                user = evolve(user, event)
            territory.live_sessions += len(user.live) - len(territory.user(shard, user_id).live)
            shard.users[user_id] = user
        rows.committed(seq, size, row, home)
    return len(journal)


def shard_in(territory: Territory, user_id: UserId) -> Shard:
    """The user's shard; ``LostShard`` when it is not ours."""
    shard = territory.get(shard_of(user_id))
    if shard is None:
        raise LostShard(f"shard {shard_of(user_id)}")
    return shard


async def _load(loader: EntityLoader, territory: Territory, entries: Iterable[Entry]) -> None:
    libraries: dict[UserId, None] = {}
    commands: dict[UserId, None] = {}
    for user_id, events in entries:
        if any(_needs_library(event) for event in events):
            libraries[user_id] = None
        if any(type(event) is CommandApplied for event in events):
            commands[user_id] = None
    for chunk in _chunks(list(libraries)):
        for user_id, library in (await loader.libraries(chunk)).items():
            shard = shard_in(territory, user_id)
            shard.users[user_id] = with_library(library)(territory.user(shard, user_id))
    for chunk in _chunks(list(commands)):
        for user_id, known in (await loader.commands(chunk)).items():
            shard = shard_in(territory, user_id)
            shard.users[user_id] = with_commands(known)(territory.user(shard, user_id))


def _needs_library(event: Event) -> bool:
    return type(event) not in (HeartbeatAccepted, CommandApplied)


def _chunks(users: list[UserId]) -> Iterable[list[UserId]]:
    return (users[first : first + LOAD_CHUNK] for first in range(0, len(users), LOAD_CHUNK))
