"""Waiting that Ctrl-C ends: every client sleeps here, and wakes at once when the run is cut."""

import asyncio


class Pause:
    """One of these a run. After ``cut`` nobody waits any more, and what still has to be said is given ``grace_s``."""

    def __init__(self, *, grace_s: float = 5.0) -> None:
        self._grace_s = grace_s
        self._sleepers: set[asyncio.Future[None]] = set()
        self._cut_at: float | None = None

    @property
    def is_cut(self) -> bool:
        return self._cut_at is not None

    def cut(self) -> None:
        if self._cut_at is None:
            self._cut_at = asyncio.get_running_loop().time()
        for sleeper in self._sleepers:
            _wake(sleeper)

    def deadline(self, wanted: float) -> float:
        """The loop time by which a client gives up what it wants to do until ``wanted``."""
        return wanted if self._cut_at is None else min(wanted, self._cut_at + self._grace_s)

    async def until(self, moment: float) -> None:
        """Returns at ``moment`` of the loop's clock, or as soon as the run is cut."""
        loop = asyncio.get_running_loop()
        if self._cut_at is not None or moment <= loop.time():
            return
        sleeper: asyncio.Future[None] = loop.create_future()
        timer = loop.call_at(moment, _wake, sleeper)
        self._sleepers.add(sleeper)
        try:
            await sleeper
        finally:
            timer.cancel()
            self._sleepers.discard(sleeper)


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
