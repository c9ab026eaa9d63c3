"""Loads what a rule missed, in batches, beside the commits.

What was read is handed over at the next batch boundary, and only if the shard is still served at the same term (a shard
that left and came back may have changed) and nobody filled the gap meanwhile. A load that fails answers the commands
that wait for it with *unavailable*: they may be tried again.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from actors.batching import NaturalBatcher
from actors.domain.ids import CommandId, Micros, ProductId, SessionId, ShardId, Term, UserId
from actors.domain.listing import latest_change
from actors.domain.model import (
    NOBODY,
    Aggregate,
    AppliedCommand,
    EndedSession,
    Library,
    NotLoaded,
    Past,
    PastQuery,
    User,
)
from actors.domain.replies import Unavailable
from actors.domain.spans import Spans
from actors.mailbox import Mailbox
from actors.ports import EntityLoader, StoreUnavailable
from actors.territory import Shard, Territory
from actors.titles import CatalogTitles

log = logging.getLogger(__name__)

LOADS_PER_BATCH = 500
PASTS_PER_BATCH = 20
"""A past may be many rows."""
TITLE_LOADS_PER_BATCH = 50
"""Each may name all products of a library."""


class _Key(NamedTuple):
    shard_id: ShardId
    term: Term
    user_id: UserId
    session_id: SessionId | None
    past: PastQuery | None
    products: tuple[ProductId, ...] = ()


_Merge = Callable[[User], User]


class Loading:
    """Requests come from the commit loop, results go back through ``merge_arrivals`` at its next boundary."""

    def __init__(self, loader: EntityLoader, mailbox: Mailbox, territory: Territory, titles: CatalogTitles) -> None:
        self._loader = loader
        self._titles = titles
        self._mailbox = mailbox
        self._territory = territory
        self._arrived: list[tuple[_Key, _Merge | None]] = []
        self._batchers = {
            Aggregate.LIBRARY: NaturalBatcher(self._load_libraries, LOADS_PER_BATCH),
            Aggregate.COMMANDS: NaturalBatcher(self._load_commands, LOADS_PER_BATCH),
            Aggregate.ENDED_SESSION: NaturalBatcher(self._load_ended, LOADS_PER_BATCH),
            Aggregate.PAST: NaturalBatcher(self._load_past, PASTS_PER_BATCH),
            Aggregate.TITLES: NaturalBatcher(self._learn_titles, TITLE_LOADS_PER_BATCH),
        }

    def request(self, shard: Shard, user_id: UserId, missing: NotLoaded) -> None:
        key = _Key(shard.shard_id, shard.term, user_id, missing.session_id, missing.past, missing.products)
        self._batchers[missing.aggregate].add(key)

    def merge_arrivals(self) -> None:
        """Brings what arrived into the committed state and makes its commands ready. At a batch boundary only."""
        arrived, self._arrived = self._arrived, []
        for key, merge in arrived:
            shard = self._territory.get(key.shard_id)
            if shard is not None and shard.term == key.term and merge is not None:
                shard.users[key.user_id] = merge(shard.users.get(key.user_id, NOBODY))
            if merge is None:
                self._mailbox.fail_blocked(key.user_id, Unavailable("the store is away"))
            else:
                self._mailbox.unblock(key.user_id)

    async def close(self) -> None:
        for batcher in self._batchers.values():
            await batcher.close()

    async def _load_libraries(self, keys: list[_Key]) -> None:
        try:
            libraries = await self._loader.libraries([key.user_id for key in keys])
        except StoreUnavailable:
            self._failed(keys)
            return
        self._hand_over((key, with_library(libraries[key.user_id])) for key in keys)

    async def _load_commands(self, keys: list[_Key]) -> None:
        try:
            commands = await self._loader.commands([key.user_id for key in keys])
        except StoreUnavailable:
            self._failed(keys)
            return
        self._hand_over((key, with_commands(commands[key.user_id])) for key in keys)

    async def _load_ended(self, keys: list[_Key]) -> None:
        wanted = [(key.user_id, key.session_id) for key in keys if key.session_id is not None]
        try:
            found = await self._loader.ended_sessions(wanted)
        except StoreUnavailable:
            self._failed(keys)
            return
        self._hand_over((key, with_ended(key.session_id, found.get(key.session_id))) for key in keys if key.session_id)

    async def _load_past(self, keys: list[_Key]) -> None:
        asked = [(key, key.past) for key in keys if key.past is not None]
        try:
            known = await self._loader.ended_sessions([
                (key.user_id, session_id) for key, query in asked for session_id in query.sessions
            ])  # fmt: skip
            counted = await self._loader.counted([(key.user_id, query.days) for key, query in asked])
        except StoreUnavailable:
            self._failed(keys)
            return
        self._hand_over(
            (key, with_past(query, known, spans)) for (key, query), spans in zip(asked, counted, strict=True)
        )

    async def _learn_titles(self, keys: list[_Key]) -> None:
        """Whatever came of it, the command is decided again: without the titles that could not be learned."""
        await self._titles.learn({product_id for key in keys for product_id in key.products})
        self._hand_over((key, _as_it_is) for key in keys)

    def _hand_over(self, arrivals: Iterable[tuple[_Key, _Merge]]) -> None:
        self._arrived.extend(arrivals)
        self._mailbox.wake()

    def _failed(self, keys: list[_Key]) -> None:
        log.warning("a load failed", extra={"users": len(keys)})
        self._arrived.extend((key, None) for key in keys)
        self._mailbox.wake()


def _as_it_is(user: User) -> User:
    return user


def with_library(library: Library) -> _Merge:
    """Fills the gap, if it is one still."""

    def merge(user: User) -> User:
        if user.library is not None:
            return user
        latest = max(latest_change(library.items, library.removed), _last_touched(library))
        return replace(user, library=library, last_event_at=Micros(max(user.last_event_at, latest)))

    return merge


def _last_touched(library: Library) -> int:
    """The latest moment that is known of this user: time goes on from there (ARCHITECTURE.md, "Time")."""
    return max(
        max((max(item.last_played_at or 0, item.last_ended_at or 0) for item in library.items.values()), default=0),
        max((gone.item.last_ended_at or 0 for gone in library.removed.values()), default=0),
        max((category.updated_at for category in library.categories.values()), default=0),
    )


def with_commands(commands: dict[CommandId, AppliedCommand]) -> _Merge:
    """Fills the gap, if it is one still."""

    def merge(user: User) -> User:
        return user if user.commands is not None else replace(user, commands=commands)

    return merge


def with_ended(session_id: SessionId, session: EndedSession | None) -> _Merge:
    """Notes what is known of a session id: an ended session, or that the user has none of that id."""

    def merge(user: User) -> User:
        if session_id in user.ended or any(live.session_id == session_id for live in user.live):
            return user
        return replace(user, ended={**_known_sessions(user), session_id: session})

    return merge


def with_past(
    query: PastQuery, known: Mapping[SessionId, EndedSession], counted: dict[ProductId, Spans] | None
) -> _Merge:
    """Notes what the tables say of some days and sessions. They say it of a moment when this user already waited for
    it, so what has ended since is in memory."""

    def merge(user: User) -> User:
        found = {session_id: known.get(session_id) for session_id in query.sessions}
        ended: dict[SessionId, EndedSession | None] = {**found, **_known_sessions(user)}
        return replace(user, ended=ended, past=Past(frozenset(query.days), counted))

    return merge


def _known_sessions(user: User) -> dict[SessionId, EndedSession]:
    """Without the ids that turned out to be nobody's: a client may make up any number of them, and a command that needs
    one asks again."""
    return {session_id: session for session_id, session in user.ended.items() if session is not None}
