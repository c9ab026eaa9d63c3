"""The server's clock: it stands still unless told otherwise, or goes with the loop's (virtual) time."""

import asyncio

from actors.domain.ids import SECOND, Micros

SOME_DAY = Micros(1_790_000_000 * SECOND)


class StoreClock:
    """Real time in microseconds. ``follows_loop``: it also advances with the running loop's ``time()``."""

    def __init__(self, at: Micros = SOME_DAY, *, follows_loop: bool = False) -> None:
        self._at = at
        self._follows_loop = follows_loop

    def now(self) -> Micros:
        if not self._follows_loop:
            return self._at
        return Micros(self._at + int(asyncio.get_running_loop().time() * SECOND))

    def step(self, micros: int) -> None:
        """Forward, or back as a server's clock may be set."""
        self._at = Micros(self._at + micros)
