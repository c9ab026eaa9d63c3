"""``EntityLoader`` on Postgres: aggregates from the tables, on the primary, never on a host's own sessions."""

import asyncio
from collections.abc import Sequence

from actors.domain.ids import CommandId, ProductId, SessionId, ShardId, UserId
from actors.domain.model import AppliedCommand, EndedSession, Library, LiveSession
from actors.domain.spans import Spans
from persistence.postgres import categories, commands, library, live_sessions, purchases
from persistence.postgres import sessions as playtime
from persistence.postgres.pool import ConnectionPool


class PostgresEntityLoader:
    """See ``actors.ports.EntityLoader`` for every promise."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._products = live_sessions.KnownProducts()

    async def live_sessions(self, shards: Sequence[ShardId]) -> list[tuple[UserId, LiveSession]]:
        return await live_sessions.load_live(self._pool, shards, self._products)

    async def libraries(self, users: Sequence[UserId]) -> dict[UserId, Library]:
        """Several statements see one state: a user's rows don't change while its actor is not loaded."""
        items, applied, removed, shelves = await asyncio.gather(
            library.load(self._pool, users),
            purchases.load(self._pool, users),
            library.load_removed(self._pool, users),
            categories.load(self._pool, users),
        )
        return {
            user_id: Library(items[user_id], applied[user_id], removed[user_id], shelves[user_id]) for user_id in users
        }

    async def commands(self, users: Sequence[UserId]) -> dict[UserId, dict[CommandId, AppliedCommand]]:
        return await commands.load(self._pool, users)

    async def ended_sessions(self, sessions: Sequence[tuple[UserId, SessionId]]) -> dict[SessionId, EndedSession]:
        return await playtime.load_ended(self._pool, sessions)

    async def counted(self, asked: Sequence[tuple[UserId, Sequence[int]]]) -> list[dict[ProductId, Spans] | None]:
        return await playtime.load_counted(self._pool, asked)
