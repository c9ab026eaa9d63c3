"""Copies in memory: what ``persistence.redis.copies`` keeps in Redis."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from actors.copies.ports import CopiesUnavailable
from actors.copies.values import LibraryCopy, SessionCopy
from actors.domain.ids import ProductId, UserId


async def at_once() -> None:
    await asyncio.sleep(0)


class MemoryCopies:
    """One server. ``reach`` is awaited before each effect: it may take long, or raise ``CopiesUnavailable``."""

    def __init__(self, reach: Callable[[], Awaitable[None]] = at_once) -> None:
        self.reach = reach
        self.libraries: dict[UserId, LibraryCopy] = {}
        self.sessions: dict[tuple[UserId, ProductId], SessionCopy] = {}
        self.down = False
        self.lives = 0

    def restart(self) -> None:
        """It keeps nothing on disk."""
        self.libraries.clear()
        self.sessions.clear()
        self.lives += 1

    async def write(self, libraries: Sequence[LibraryCopy], sessions: Sequence[SessionCopy]) -> None:
        await self._reach()
        for library in libraries:
            known = self.libraries.get(library.user_id)
            if known is None or known.version <= library.version:
                self.libraries[library.user_id] = library
        for session in sessions:
            key = (session.user_id, session.product_id)
            had = self.sessions.get(key)
            if had is None or had.version <= session.version:
                self.sessions[key] = session

    async def read_library(self, user_id: UserId) -> LibraryCopy | None:
        await self._reach()
        return self.libraries.get(user_id)

    async def _reach(self) -> None:
        await self.reach()
        if self.down:
            raise CopiesUnavailable
