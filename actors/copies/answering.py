"""What a door answers from a copy while the user's host cannot: reads alone, marked with their age (R-DB-2).

The rules are the actor's own (``actors.domain.user.decide``), over the library of the copy.
"""

from msgspec import Struct

from actors.copies.ports import CopiesUnavailable, CopyReader
from actors.copies.values import Version
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


class CopyAnswers:
    """``reader`` is None where there are no copies."""

    def __init__(self, reader: CopyReader | None) -> None:
        self._reader = reader
        self.served = 0

    async def instead_of(self, reply: Reply, user_id: UserId, command: CopiedRead) -> FromCopy | None:
        """What to answer instead of ``reply``; None when that is an answer itself, or there is no copy."""
        if self._reader is None or not isinstance(reply, Unavailable | Overloaded):
            return None
        try:
            copy = await self._reader.read_library(user_id)
        except CopiesUnavailable:
            return None
        if copy is None:
            return None
        _, answer = decide(User(library=copy.library), command, _context(copy.flushed_at))
        self.served += 1
        return FromCopy(answer=answer, stale_since=copy.flushed_at, version=copy.version)


def _context(at: Micros) -> Context:
    """Reads make nothing new and measure no silence."""
    return Context(at, at, at, 0, Policy(), _no_new_id)


def _no_new_id() -> bytes:
    raise AssertionError("a read made something new")
