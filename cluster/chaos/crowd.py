"""All clients of a run, and what they see together."""

import asyncio
from collections.abc import Callable
from random import Random
from uuid import UUID

from actors.domain.ids import UserId
from cluster.chaos.caller import Caller
from cluster.chaos.calls import Calls
from cluster.chaos.client import Client, Pace
from cluster.chaos.shop import Shop

ARRIVALS_PER_S = 60.0
SPARE_SHARE = 0.12
"""More clients than sessions are wanted: one that just ended a session has none."""
LOOKERS = 32


class Crowd:
    """``sessions`` live sessions of distinct users, about. ``token`` makes a user's bearer token."""

    def __init__(
        self,
        *,
        sessions: int,
        caller: Caller,
        shop: Shop,
        calls: Calls,
        pace: Pace,
        random: Random,
        token: Callable[[UUID], str],
    ) -> None:
        self._stop = asyncio.Event()
        self._calls = calls
        self._lives: list[asyncio.Task[None]] = []
        self.clients = [
            Client(
                number,
                user_id=UserId(user := random.randbytes(16)),
                token=token(UUID(bytes=user)),
                caller=caller,
                shop=shop,
                calls=calls,
                pace=pace,
                stop=self._stop,
                random=Random(random.random()),
            )
            for number in range(int(sessions * (1 + SPARE_SHARE)) + 1)
        ]

    @property
    def live(self) -> int:
        """Sessions that are being played now, as far as their clients know."""
        return sum(client.playing is not None for client in self.clients)

    @property
    def beats(self) -> int:
        return sum(client.beats for client in self.clients)

    @property
    def violations(self) -> int:
        return sum(len(client.history.violations) for client in self.clients)

    @property
    def failed(self) -> BaseException | None:
        """A bug of a client's own."""
        ended = [life for life in self._lives if life.done() and not life.cancelled()]
        return next((error for life in ended if (error := life.exception()) is not None), None)

    async def arrive(self) -> None:
        """All begin, one by one."""
        for client in self.clients:
            self._lives.append(asyncio.create_task(client.live()))
            await asyncio.sleep(1 / ARRIVALS_PER_S)

    async def leave(self) -> None:
        """Each finishes what it wants, as long as its patience lasts."""
        self._stop.set()
        await asyncio.gather(*self._lives)

    async def abandon(self) -> None:
        for life in self._lives:
            life.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)

    async def look_at_the_end(self) -> None:
        waiting = iter(self.clients)

        async def look() -> None:
            for client in waiting:
                await client.look_at_the_end()

        await asyncio.gather(*(look() for _ in range(LOOKERS)))
