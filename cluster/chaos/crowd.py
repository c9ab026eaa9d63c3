"""All clients of a run, and what they see together."""

import asyncio
from collections.abc import Iterator, Sequence
from random import Random
from typing import Protocol
from uuid import UUID

from actors.domain.ids import UserId
from cluster.chaos.client import Client
from cluster.chaos.game_server import GameServer
from cluster.chaos.trader import Trader
from cluster.chaos.user import Around, User
from cluster.verdict.history import History

ARRIVALS_PER_S = 60.0
SPARE_SHARE = 0.12
"""More clients than sessions are wanted: one that just ended a session has none."""
GAME_SERVERS = 2
ON_GAME_SERVERS = 10
"""One client in so many beats through a game server."""
TRADER_SHARE = 0.02
MIN_TRADERS = 4
LOOKERS = 32
GAME_SERVER = "game_server"


class Token(Protocol):
    """Makes a user's bearer token."""

    def __call__(self, user_id: UUID, *, roles: Sequence[str] = ()) -> str: ...


class Crowd:
    """``sessions`` live sessions of distinct users, about, and a few who only trade."""

    def __init__(
        self, *, sessions: int, around: Around, random: Random, token: Token, free_products: Sequence[UUID]
    ) -> None:
        self._around = around
        self._random = random
        self._token = token
        self._lives: list[asyncio.Task[None]] = []
        self._servers = [GameServer(self._user(f"game server {number}", GAME_SERVER)) for number in range(GAME_SERVERS)]
        self.clients = [
            Client(self._user(f"user {number}"), self._server_for(number))
            for number in range(int(sessions * (1 + SPARE_SHARE)) + 1)
        ]
        self.traders = [
            Trader(self._user(f"trader {number}"), free_products)
            for number in range(max(MIN_TRADERS, int(sessions * TRADER_SHARE)))
        ]

    def everybody(self) -> Iterator[Client | Trader]:
        yield from self.traders
        yield from self.clients

    @property
    def live(self) -> int:
        """Sessions that are being played now, as far as their clients know."""
        return sum(client.playing is not None for client in self.clients)

    @property
    def beats(self) -> int:
        return sum(client.beats for client in self.clients)

    @property
    def histories(self) -> list[History]:
        return [one.history for one in (*self.everybody(), *self._servers)]

    @property
    def violations(self) -> int:
        return sum(len(history.violations) for history in self.histories)

    @property
    def failed(self) -> BaseException | None:
        """A bug of a client's own."""
        ended = [life for life in self._lives if life.done() and not life.cancelled()]
        return next((error for life in ended if (error := life.exception()) is not None), None)

    async def arrive(self) -> None:
        """All begin, one by one."""
        for one in self.everybody():
            self._lives.append(asyncio.create_task(one.live()))
            await asyncio.sleep(1 / ARRIVALS_PER_S)

    async def leave(self) -> None:
        """Each finishes what it wants, as long as its patience lasts."""
        self._around.stop.set()
        await asyncio.gather(*self._lives)

    async def abandon(self) -> None:
        for life in self._lives:
            life.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)
        for server in self._servers:
            await server.close()

    async def look_at_the_end(self) -> None:
        waiting = self.everybody()

        async def look() -> None:
            for one in waiting:
                await one.look_at_the_end()

        await asyncio.gather(*(look() for _ in range(LOOKERS)))

    def _server_for(self, number: int) -> GameServer | None:
        turn, rest = divmod(number, ON_GAME_SERVERS)
        return self._servers[turn % GAME_SERVERS] if rest == 0 else None

    def _user(self, name: str, *roles: str) -> User:
        user_id = self._random.randbytes(16)
        token = self._token(UUID(bytes=user_id), roles=roles)
        random = Random(self._random.random())
        return User(name, UserId(user_id), token=token, around=self._around, random=random)
