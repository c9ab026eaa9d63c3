"""Reads of the library as a door asks for them: of the user's actor, and from a copy while its host cannot answer.

What comes from a copy says so (R-DB-2, promise 5). The rules are the actor's own (``actors.domain.user.decide``), over
the library of the copy.
"""

from typing import Protocol

from msgspec import Struct

from actors.copies.ports import CopiesUnavailable, CopyReader
from actors.copies.values import LibraryCopy, Version
from actors.domain.commands import GetItem, ListItems
from actors.domain.context import Context, Policy
from actors.domain.ids import Micros, UserId
from actors.domain.model import User
from actors.domain.replies import Answer, Overloaded, Reply, Unavailable
from actors.domain.user import decide

CopiedRead = ListItems | GetItem
"""What can be answered from a copy of the library."""


class FromCopy(Struct, frozen=True, kw_only=True):
    """An answer that may be old: all that was acknowledged before ``stale_since`` is in it, later things may not be."""

    answer: Answer
    stale_since: Micros
    version: Version


class Actors(Protocol):
    """The router, as far as reads need it."""

    async def call(
        self, user_id: UserId, command: CopiedRead, *, timeout_s: float, trace: str | None = None
    ) -> Reply: ...


class LibraryReads:
    """``copies`` is None where there are none; ``served`` counts the answers that came from them."""

    def __init__(self, actors: Actors, copies: CopyReader | None) -> None:
        self._actors = actors
        self._copies = copies
        self.served = 0

    async def ask(
        self, user_id: UserId, command: CopiedRead, *, timeout_s: float, trace: str | None = None
    ) -> Reply | FromCopy:
        """The actor's answer; what can be had instead when it cannot be reached in time; else what kept it."""
        reply = await self._actors.call(user_id, command, timeout_s=timeout_s, trace=trace)
        if self._copies is None or not isinstance(reply, Unavailable | Overloaded):
            return reply
        try:
            copy = await self._copies.read_library(user_id)
        except CopiesUnavailable:
            return reply
        if copy is None:
            return reply
        self.served += 1
        return _answer(copy, command)


def _answer(copy: LibraryCopy, command: CopiedRead) -> FromCopy:
    _, answer = decide(User(library=copy.library), command, _context(copy.flushed_at))
    return FromCopy(answer=answer, stale_since=copy.flushed_at, version=copy.version)


def _context(at: Micros) -> Context:
    """Reads make nothing new and measure no silence."""
    return Context(at, at, at, 0, Policy(), _no_new_id)


def _no_new_id() -> bytes:
    raise AssertionError("a read made something new")
