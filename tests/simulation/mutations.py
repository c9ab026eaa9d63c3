"""Rules broken on purpose, one at a time: the checker must notice each, or it proves nothing.

Each mutation patches the real code for the time of a run. What it breaks is a rule of ARCHITECTURE.md.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

import actors.commit_loop
import actors.deciding
import actors.domain.offline
import actors.domain.user
import actors.loading
from actors.commit_loop import CommitLoop
from actors.copies.answering import FromCopy, LibraryPages
from actors.copies.keeper import CopyKeeper
from actors.deciding import DecidedBatch, Decider
from actors.dirty import DirtyRows
from actors.domain.ids import Micros, Seq, Term
from actors.flush_rows import FlushRows
from actors.hearing import Hearing
from actors.link.client import DoorLink
from actors.loading import Loading
from actors.mailbox import Mailbox
from actors.ownership import Ownership
from actors.ports import CommitRefused
from actors.territory import Shard
from tests.memory.copies import MemoryCopies
from tests.memory.database import MemoryDatabase
from tests.memory.host_store import MemoryHostStore
from tests.memory.loader import MemoryEntityLoader
from tests.simulation.library_mutations import LIBRARY_MUTATIONS

Patches = Callable[[], list[Any]]


def _no_lock_on_the_journal_session() -> list[Any]:
    """Two processes may commit for one host: its lock is not asked for, and a takeover ends nobody."""

    def lock(_self: MemoryDatabase, _key: object, _session: object) -> None:
        return

    def end_holders(_self: MemoryDatabase, *_keys: object) -> None:
        return

    return [patch.object(MemoryDatabase, "lock", lock), patch.object(MemoryDatabase, "end_holders", end_holders)]


def _reply_before_commit() -> list[Any]:
    original = CommitLoop._commit

    async def commit(self: CommitLoop, batch: DecidedBatch) -> None:
        for pending, reply in batch.answers:
            pending.answer(reply)
        for pending, _ in batch.answers:
            pending.respond, pending.attached = lambda _reply: None, None
        await original(self, batch)

    return [patch.object(CommitLoop, "_commit", commit)]


def _reads_without_a_fence() -> list[Any]:
    """Reads and refusals are answered from memory, whoever owns the host by now."""

    async def check_fence(self: MemoryHostStore) -> Micros:
        return self._database.clock.now()

    return [patch.object(MemoryHostStore, "check_fence", check_fence)]


def _dedupe_off() -> list[Any]:
    def decide_once(user: Any, command: Any, _command_id: Any, context: Any) -> Any:
        return actors.domain.user.decide(user, command, context)

    return [patch.object(actors.deciding, "decide_once", decide_once)]


def _flush_of_uncommitted_rows() -> list[Any]:
    """The overlay becomes the state before its commit, and a flush in between shows it."""
    original = Decider.decide

    def decide(self: Decider, commands: Any) -> DecidedBatch:
        batch = original(self, commands)
        for user_id, (shard, user) in batch.overlay.items():
            shard.users[user_id] = user
        return batch

    return [patch.object(Decider, "decide", decide)]


def _rows_clean_before_their_flush() -> list[Any]:
    original = FlushRows.failed

    def failed(self: FlushRows) -> None:
        self._flushing = None
        original(self)

    return [patch.object(FlushRows, "failed", failed)]


def _memory_kept_after_a_refused_commit() -> list[Any]:
    original = CommitLoop._commit

    async def commit(self: CommitLoop, batch: DecidedBatch) -> None:
        append = self._store.append

        async def refused(seq: Seq, body: bytes) -> Micros:
            try:
                return await append(seq, body)
            except CommitRefused:
                for user_id, (shard, user) in batch.overlay.items():
                    shard.users[user_id] = user
                raise

        with patch.object(self._store, "append", refused):
            await original(self, batch)

    return [patch.object(CommitLoop, "_commit", commit)]


def _unknown_taken_for_done() -> list[Any]:
    original = CommitLoop._recover

    async def recover(self: CommitLoop, seq: Seq | None, unknown: Any) -> bool:
        await original(self, seq, unknown)
        return seq is not None

    return [patch.object(CommitLoop, "_recover", recover)]


def _unknown_taken_for_lost() -> list[Any]:
    original = CommitLoop._recover

    async def recover(self: CommitLoop, seq: Seq | None, unknown: Any) -> bool:
        if await original(self, seq, unknown) and seq is not None:
            self._next_seq = Seq(seq + 1)
        return False

    return [patch.object(CommitLoop, "_recover", recover)]


def _deciding_goes_on_in_a_leaving_shard() -> list[Any]:
    return [patch.object(Shard, "serving", property(lambda self: self.lifecycle.state.value in ("serving", "leaving")))]


def _a_given_shard_stays_in_memory() -> list[Any]:
    """It is served on after it was given away."""
    original = Ownership.gifts_settled

    def gifts_settled(self: Ownership, gifts: Any, _given: Any) -> None:
        original(self, gifts, frozenset())

    return [patch.object(Ownership, "gifts_settled", gifts_settled), patch.object(Ownership, "_compare", _compare_all)]


def _compare_all(self: Ownership, _owners: Any) -> list[Shard]:
    return []


def _outbox_without_term() -> list[Any]:
    original = DirtyRows.images

    def images(self: DirtyRows, user_of: Any, gifts: Any) -> Any:
        batch = original(self, user_of, gifts)
        return replace(batch, outbox=[replace(row, term=Term(0)) for row in batch.outbox])

    return [patch.object(DirtyRows, "images", images)]


def _seq_from_the_clock() -> list[Any]:
    """After a takeover the sequence goes on from the store's clock, which may have been stepped back."""
    original = MemoryHostStore._found

    def found(self: MemoryHostStore, epoch: Any) -> Any:
        claim = original(self, epoch)
        return replace(claim, next_seq=Seq(self._database.clock.now() // 1_000_000))

    return [patch.object(MemoryHostStore, "_found", found)]


def _timers_ignore_outages() -> list[Any]:
    return [
        patch.object(Hearing, "since", lambda self, now: Micros(0)),
        patch.object(Hearing, "deaf", property(lambda self: False)),
        patch.object(Ownership, "begin_serving", _begin_serving_without_grace),
    ]


_begin_serving = Ownership.begin_serving


def _begin_serving_without_grace(self: Ownership, shards: Any) -> None:
    shards = list(shards)
    _begin_serving(self, shards)
    for shard in shards:
        shard.served_since = Micros(0)


def _a_resent_command_has_a_new_id() -> list[Any]:
    original = DoorLink.call

    def call(self: DoorLink, user_id: Any, command: Any, **options: Any) -> Any:
        if options.get("command_id") is not None:
            self_counter = getattr(self, "_renamed", 0) + 1
            self._renamed = self_counter  # type: ignore[attr-defined]
            options["command_id"] = self_counter.to_bytes(16, "big")
        return original(self, user_id, command, **options)

    return [patch.object(DoorLink, "call", call)]


def _dirty_users_are_evicted() -> list[Any]:
    return [patch.object(FlushRows, "is_dirty", lambda self, user_id: False)]


def _later_commands_overtake() -> list[Any]:
    """A user's commands do not wait behind one that is blocked, and what a load brings overwrites what is newer."""

    def merge(self: Loading) -> None:
        arrived, self._arrived = self._arrived, []
        for key, fill in arrived:
            shard = self._territory.get(key.shard_id)
            if shard is not None and fill is not None:
                user = shard.users.get(key.user_id)
                emptied = None if user is None else replace(user, library=None, commands=None)
                shard.users[key.user_id] = fill(emptied) if emptied is not None else fill(actors.domain.model.NOBODY)
            self._mailbox.unblock(key.user_id)

    return [
        patch.object(Loading, "merge_arrivals", merge),
        patch.object(Mailbox, "is_blocked", lambda self, user: False),
    ]


def _flush_without_fence() -> list[Any]:
    """A deposed owner's flush goes through."""
    return [
        patch.object(MemoryHostStore, "_check_epoch", lambda self: None),
        *_no_lock_on_the_journal_session(),
    ]


def _a_copy_is_shown_without_its_mark() -> list[Any]:
    original = LibraryPages.ask

    async def ask(self: LibraryPages, *arguments: Any, **options: Any) -> Any:
        reply = await original(self, *arguments, **options)
        return reply.answer if isinstance(reply, FromCopy) else reply

    return [patch.object(LibraryPages, "ask", ask)]


def _copies_before_their_flush() -> list[Any]:
    """A host that was deposed and does not know it yet copies what it has, as of now."""
    original = CopyKeeper.begin

    def begin(self: CopyKeeper, batch: Any) -> None:
        original(self, batch)
        self.settled(True)

    return [patch.object(CopyKeeper, "begin", begin)]


def _a_lower_version_replaces_a_higher() -> list[Any]:
    async def write(self: MemoryCopies, libraries: Any, sessions: Any) -> None:
        await self._reach()
        self.libraries.update({copy.user_id: copy for copy in libraries})

    return [patch.object(MemoryCopies, "write", write)]


def _overlap_is_credited_twice() -> list[Any]:
    """An offline session is credited with all of its time, whatever others count."""
    return [patch.object(actors.domain.offline._Ledger, "counted", lambda self, span, product_id: ())]


def _a_live_session_counts_offline_play_too() -> list[Any]:
    return [patch.object(actors.domain.offline, "_shared", lambda live, session: live)]


def _offline_sessions_are_forgotten_with_the_user() -> list[Any]:
    """What the tables say of a client's UUID is not asked for."""
    original = actors.loading.with_past

    def with_past(query: Any, _known: Any, counted: Any) -> Any:
        return original(query, {}, counted)

    return [patch.object(actors.loading, "with_past", with_past)]


def _keys_are_forgotten_at_a_takeover() -> list[Any]:
    """A client's key is known only to the process that saw it."""
    original = MemoryEntityLoader._commands

    def commands(self: MemoryEntityLoader, user_id: Any) -> Any:
        return {known: one for known, one in original(self, user_id).items() if not one.request}

    return [patch.object(MemoryEntityLoader, "_commands", commands)]


MUTATIONS: dict[str, Patches] = {
    "no lock on the journal session": _no_lock_on_the_journal_session,
    "reply before commit": _reply_before_commit,
    "reads without a fence": _reads_without_a_fence,
    "dedupe off": _dedupe_off,
    "flush of uncommitted rows": _flush_of_uncommitted_rows,
    "rows clean before their flush": _rows_clean_before_their_flush,
    "memory kept after a refused commit": _memory_kept_after_a_refused_commit,
    "unknown taken for done": _unknown_taken_for_done,
    "unknown taken for lost": _unknown_taken_for_lost,
    "deciding goes on in a leaving shard": _deciding_goes_on_in_a_leaving_shard,
    "a given shard stays in memory": _a_given_shard_stays_in_memory,
    "outbox without term": _outbox_without_term,
    "seq from the clock": _seq_from_the_clock,
    "timers ignore outages": _timers_ignore_outages,
    "a resent command has a new id": _a_resent_command_has_a_new_id,
    "dirty users are evicted": _dirty_users_are_evicted,
    "later commands overtake": _later_commands_overtake,
    "flush without fence": _flush_without_fence,
    "a copy is shown without its mark": _a_copy_is_shown_without_its_mark,
    "copies before their flush": _copies_before_their_flush,
    "a lower version replaces a higher": _a_lower_version_replaces_a_higher,
    "overlap is credited twice": _overlap_is_credited_twice,
    "a live session counts offline play too": _a_live_session_counts_offline_play_too,
    "offline sessions are forgotten with the user": _offline_sessions_are_forgotten_with_the_user,
    "keys are forgotten at a takeover": _keys_are_forgotten_at_a_takeover,
    **LIBRARY_MUTATIONS,
}


@contextmanager
def mutated(name: str | None) -> Iterator[None]:
    """The code with that rule broken; None for the code as it is."""
    patches = [] if name is None else MUTATIONS[name]()
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in reversed(patches):
            one.stop()
