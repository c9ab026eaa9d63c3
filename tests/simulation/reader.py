"""What a player sees: live sessions and the library, through any door, and copies of it while the host is away.

Reads are never older than what was acknowledged before they were sent (promise 5).
"""

import asyncio
from random import Random
from typing import Protocol

from actors.copies.answering import FromCopy
from actors.domain.commands import ListItems, ListLiveSessions
from actors.domain.ids import SECOND, Micros
from actors.domain.replies import ItemsPage, LiveSessions, Reply
from cluster.verdict.history import History, Told
from tests.simulation.world import World

IMPATIENT_S = 0.3


class Ask(Protocol):
    """A question through a door; None for any."""

    async def __call__(
        self, command: object, /, *, timeout_s: float = ..., door: str | None = ...
    ) -> Reply | FromCopy | None: ...


class Reader:
    """Of one user. ``copies`` counts pages that came from a copy."""

    def __init__(self, world: World, history: History, random: Random, ask: Ask, stop: asyncio.Event) -> None:
        self._world = world
        self._history = history
        self._random = random
        self._ask = ask
        self._stop = stop
        self.copies = 0
        self._newest_copy: tuple[int, tuple[int, int]] = (0, (0, 0))

    async def watch(self, door: str | None) -> None:
        """A screen that is impatient: it shows what is played, or the library, and takes a copy of that when the host
        does not answer."""
        while not self._stop.is_set():
            await asyncio.sleep(self._random.uniform(0.2, 1.0))
            if self._random.random() < 0.5:
                await self._look_at_the_library(timeout_s=IMPATIENT_S, door=door)
            else:
                await self._look_at_what_is_played(timeout_s=IMPATIENT_S, door=door)

    async def look(self) -> None:
        await self._look_at_the_library()
        await self._look_at_what_is_played()

    async def look_at(self, told: Told, door: str | None) -> None:
        """A read right after a beat, maybe through the other door, shows that beat."""
        await self._look_at_what_is_played(told, door=door)

    async def _look_at_what_is_played(
        self, expected: Told | None = None, *, timeout_s: float = 2.0, door: str | None = None
    ) -> None:
        known = self._history.before_reading()
        reply = await self._ask(ListLiveSessions(), timeout_s=timeout_s, door=door)
        if isinstance(reply, LiveSessions):
            shown = {session.session_id: session.last_heartbeat_at for session in reply.sessions}
            self._history.saw_live(known, shown, expected)

    async def _look_at_the_library(self, *, timeout_s: float = 2.0, door: str | None = None) -> None:
        known = self._history.before_reading()
        reply = await self._ask(ListItems(limit=100, include_hidden=True), timeout_s=timeout_s, door=door)
        if isinstance(reply, ItemsPage):
            self._history.saw_items(known, {one.item.product_id: one.item.total_playtime_s for one in reply.items})
        elif isinstance(reply, FromCopy):
            self._saw_copy(reply)

    def _saw_copy(self, page: FromCopy) -> None:
        """A page that may be old shows what was acknowledged before the time it names, as well as hosts' clocks agree
        (DB 2); and while Redis lives, no older state than one that it showed before."""
        if not isinstance(page.answer, ItemsPage):
            self._history.wrong("a copy was answered with something else")
            return
        self.copies += 1
        items = {one.item.product_id: one.item for one in page.answer.items}
        before = Micros(page.stale_since - int(self._world.clock_trust_s * SECOND))
        self._history.saw_copy(
            before,
            totals={product_id: item.total_playtime_s for product_id, item in items.items()},
            played={product_id: item.last_played_at or 0 for product_id, item in items.items()},
        )
        seen = (self._world.copies.lives, page.version)
        if seen < self._newest_copy:
            self._history.wrong("a copy is older than one that was there before")
        self._newest_copy = max(seen, self._newest_copy)
