"""``EntityLoader`` in memory."""

from collections.abc import Sequence

from actors.domain.ids import CommandId, ProductId, SessionId, ShardId, UserId, shard_of
from actors.domain.model import AppliedCommand, EndedSession, Library, LiveSession, PurchaseKey
from actors.domain.offline import MAX_COUNTED_SPANS
from actors.domain.remembering import REMEMBER_IDS_US, REMEMBER_KEYS_US
from actors.domain.spans import Span, Spans, day_span, union, within
from tests.memory.database import MemoryDatabase
from tests.memory.store_faults import Operation

READ = Operation("read")
READ_SHARD = Operation("read_shard")
"""One of the many reads, one right after the other, with which a takeover loads the live sessions."""


class MemoryEntityLoader:
    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._tables = database.tables

    async def live_sessions(self, shards: Sequence[ShardId]) -> list[tuple[UserId, LiveSession]]:
        wanted = set(shards)
        return await self._database.unlocked(
            READ_SHARD,
            lambda: [
                (user_id, session)
                for user_id, session in self._tables.sessions.values()
                if isinstance(session, LiveSession) and shard_of(user_id) in wanted
            ],
        )

    async def libraries(self, users: Sequence[UserId]) -> dict[UserId, Library]:
        return await self._database.unlocked(READ, lambda: {user_id: self._library(user_id) for user_id in users})

    def _library(self, user_id: UserId) -> Library:
        tables = self._tables
        return Library(
            items={item.product_id: item for owner, item in tables.items.values() if owner == user_id},
            acquisitions={
                PurchaseKey(row.order_id, row.product_id): row.acquisition
                for row in tables.purchases.values()
                if row.user_id == user_id
            },
            removed={product_id: gone for (owner, product_id), gone in tables.removed.items() if owner == user_id},
            categories={one.category_id: one for owner, one in tables.categories.values() if owner == user_id},
        )

    async def commands(self, users: Sequence[UserId]) -> dict[UserId, dict[CommandId, AppliedCommand]]:
        return await self._database.unlocked(READ, lambda: {user_id: self._commands(user_id) for user_id in users})

    def _commands(self, user_id: UserId) -> dict[CommandId, AppliedCommand]:
        now = self._database.clock.now()
        return {
            one.command_id: one
            for (owner, _, _), one in self._tables.commands.items()
            if owner == user_id and one.at > now - (REMEMBER_KEYS_US if one.request else REMEMBER_IDS_US)
        }

    async def ended_sessions(self, sessions: Sequence[tuple[UserId, SessionId]]) -> dict[SessionId, EndedSession]:
        def work() -> dict[SessionId, EndedSession]:
            found: dict[SessionId, EndedSession] = {}
            for user_id, session_id in sessions:
                owner, session = self._tables.sessions.get(session_id, (None, None))
                if owner == user_id and isinstance(session, EndedSession):
                    found[session_id] = session
            return found

        return await self._database.unlocked(READ, work)

    async def counted(self, asked: Sequence[tuple[UserId, Sequence[int]]]) -> list[dict[ProductId, Spans] | None]:
        return await self._database.unlocked(READ, lambda: [self._counted(user_id, days) for user_id, days in asked])

    def _counted(self, user_id: UserId, days: Sequence[int]) -> dict[ProductId, Spans] | None:
        found: dict[ProductId, list[Span]] = {}
        whole = union(day_span(day) for day in days)
        for owner, session in self._tables.sessions.values():
            if owner == user_id and isinstance(session, EndedSession):
                of_those_days = within(whole, (session.started_at, session.ended_at))
                if of_those_days:
                    found.setdefault(session.product_id, []).extend(of_those_days)
        merged = {product_id: union(spans) for product_id, spans in found.items()}
        return None if sum(len(spans) for spans in merged.values()) > MAX_COUNTED_SPANS else merged
