"""Redis in the simulation: slow, failing, restarted; and messages that arrive long after their sender is dead."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from actors.copies.ports import CopiesUnavailable
from actors.copies.values import LibraryCopy, SessionCopy
from actors.domain.ids import UserId
from tests.memory.copies import MemoryCopies

WAIT_S = 0.5


class SlowCopies:
    """A client's view of ``MemoryCopies``. ``outside`` runs what is on its way, whatever becomes of the sender."""

    def __init__(
        self, copies: MemoryCopies, random: Random, outside: Callable[[Awaitable[None]], None], late: float
    ) -> None:
        self._copies = copies
        self._random = random
        self._outside = outside
        self._late = late

    async def write(self, libraries: Sequence[LibraryCopy], sessions: Sequence[SessionCopy]) -> None:
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._outside(self._arrive(libraries, sessions, done))
        await asyncio.wait({done}, timeout=WAIT_S)
        if not done.done() or not done.result():
            raise CopiesUnavailable

    async def read_library(self, user_id: UserId) -> LibraryCopy | None:
        await asyncio.sleep(self._random.uniform(1e-4, 2e-3))
        return await self._copies.read_library(user_id)

    async def _arrive(
        self, libraries: Sequence[LibraryCopy], sessions: Sequence[SessionCopy], done: "asyncio.Future[bool]"
    ) -> None:
        late = self._random.random() < self._late
        await asyncio.sleep(self._random.uniform(0.2, 4.0) if late else self._random.uniform(1e-4, 2e-3))
        try:
            await self._copies.write(libraries, sessions)
            happened = True
        except CopiesUnavailable:
            happened = False
        if not done.done():
            done.set_result(happened)
