"""Pages of the library as a door asks for them: of the user's actor, or from a copy while its host cannot answer.

What comes from a copy says so (R-DB-2, promise 5). The rules are the actor's own (``actors.domain.user.decide``), over
the library of the copy and the titles that this process knows.
"""

from collections.abc import Collection
from typing import Protocol

from msgspec import Struct

from actors.copies.ports import CopiesUnavailable, CopyReader
from actors.copies.values import LibraryCopy, Version
from actors.domain.commands import ListItems
from actors.domain.context import Context, Policy, Titles
from actors.domain.ids import Micros, ProductId, UserId
from actors.domain.model import NotLoaded, User
from actors.domain.replies import Answer, Overloaded, Reply, Unavailable
from actors.domain.user import decide

MAX_LOOKS = 3
"""A page may need titles, and then those of other items."""


class FromCopy(Struct, frozen=True, kw_only=True):
    """An answer that may be old: all that was acknowledged before ``stale_since`` is in it, later things may not be."""

    answer: Answer
    stale_since: Micros
    version: Version


class Actors(Protocol):
    """The router, as far as pages need it."""

    async def call(
        self, user_id: UserId, command: ListItems, *, timeout_s: float, trace: str | None = None
    ) -> Reply: ...


class LearningTitles(Titles, Protocol):
    async def learn(self, products: Collection[ProductId]) -> None:
        """Asks for them; returns when they are known or could not be learned in time."""
        ...


class LibraryPages:
    """``copies`` is None where there are none; ``served_from_copies`` counts those answers."""

    def __init__(self, actors: Actors, copies: CopyReader | None, titles: LearningTitles) -> None:
        self._actors = actors
        self._copies = copies
        self._titles = titles
        self.served_from_copies = 0

    async def ask(
        self, user_id: UserId, command: ListItems, *, timeout_s: float, trace: str | None = None
    ) -> Reply | FromCopy:
        """The actor's answer; what can be had instead when it cannot be reached in time; else what kept it."""
        reply = await self._actors.call(user_id, command, timeout_s=timeout_s, trace=trace)
        if self._copies is None or not isinstance(reply, Unavailable | Overloaded):
            return reply
        try:
            copy = await self._copies.read_library(user_id)
        except CopiesUnavailable:
            return reply
        page = None if copy is None else await self._page(copy, command)
        if page is None:
            return reply
        self.served_from_copies += 1
        return page

    async def _page(self, copy: LibraryCopy, command: ListItems) -> FromCopy | None:
        at = copy.flushed_at
        context = Context(at, at, at, 0, Policy(), _no_new_id, self._titles)
        for _ in range(MAX_LOOKS):
            try:
                _, answer = decide(User(library=copy.library), command, context)
            except NotLoaded as missing:
                await self._titles.learn(missing.products)
                continue
            return FromCopy(answer=answer, stale_since=at, version=copy.version)
        return None


def _no_new_id() -> bytes:
    raise AssertionError("a page made something new")
