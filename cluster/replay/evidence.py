"""Collects what the check judges: the tables in one read-only snapshot, and every page of the API."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg

from actors.domain.ids import from_datetime
from cluster.replay.check import Evidence, Item, Owned, Session, Violation, check
from cluster.replay.service import Service
from cluster.replay.shelf import read_items
from cluster.replay.told import ToldSession

ITEMS_OF_USERS = """
select user_id, product_id, total_playtime_seconds from user_library_items where user_id = any($1::uuid[])
"""

SESSIONS_OF_USERS = """
select id, user_id, product_id, start_time, last_heartbeat_at, end_time, duration_seconds, client_session_id
  from playtime_sessions where user_id = any($1::uuid[])
"""

QUERY_TIMEOUT_S = 60.0
READERS = 16

CANNOT_READ = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What reading the tables may raise, time-outs included."""


class Tables(Protocol):
    """The tables at one moment. Raises one of ``CANNOT_READ``."""

    async def read(self, user_ids: Sequence[str]) -> tuple[list[Item], list[Session]]: ...


class PostgresTables:
    """Reads with a connection of its own each time, so that a restarted server is no obstacle."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def read(self, user_ids: Sequence[str]) -> tuple[list[Item], list[Session]]:
        connection = await asyncpg.connect(self._dsn, timeout=10.0, command_timeout=QUERY_TIMEOUT_S)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                items = await connection.fetch(ITEMS_OF_USERS, user_ids)
                sessions = await connection.fetch(SESSIONS_OF_USERS, user_ids)
        finally:
            await connection.close(timeout=10.0)
        return [_item(row) for row in items], [_session(row) for row in sessions]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the run itself knows; ``users`` are all whose purchases may have reached Kafka."""

    users: Sequence[str]
    bought: Iterable[Owned]
    told: Sequence[ToldSession]
    cut: bool


class Inspector:
    """Looks until everything is as promised, at most for ``settle_s``: tables follow acknowledgements a moment later.

    ``headers_of`` makes a user's request headers.
    """

    def __init__(
        self,
        tables: Tables,
        service: Service,
        *,
        headers_of: Callable[[str], dict[str, str]],
        settle_s: float,
        poll_s: float = 2.0,
    ) -> None:
        self._tables = tables
        self._service = service
        self._headers_of = headers_of
        self._settle_s = settle_s
        self._poll_s = poll_s

    async def inspect(self, known: Known) -> list[Violation]:
        """Raises what reading raises: ``GaveUp``, ``Refused``, and when the time is up ``CANNOT_READ``."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._settle_s
        while True:
            last_look = loop.time() + self._poll_s > give_up_at
            try:
                violations = check(await self._collect(known))
            except CANNOT_READ:
                if last_look:
                    raise
            else:
                if not violations or last_look:
                    return violations
            await asyncio.sleep(self._poll_s)

    async def _collect(self, known: Known) -> Evidence:
        """The API first: what it shows is then in the tables, or will be at the next look."""
        api_items = await self._read_api(known.users)
        table_items, sessions = await self._tables.read(known.users)
        return Evidence(
            bought=known.bought,
            told=known.told,
            api_items=api_items,
            table_items=table_items,
            sessions=sessions,
            cut=known.cut,
        )

    async def _read_api(self, user_ids: Sequence[str]) -> list[Item]:
        items: list[Item] = []
        waiting = iter(user_ids)

        async def read() -> None:
            for user_id in waiting:
                for seen in await read_items(self._service, self._headers_of(user_id)):
                    item = Item(user_id=user_id, product_id=seen.product_id, total_seconds=seen.total_playtime_seconds)
                    items.append(item)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(READERS):
                    group.create_task(read())
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return items


def _item(row: Any) -> Item:
    return Item(
        user_id=str(row["user_id"]),
        product_id=str(row["product_id"]),
        total_seconds=row["total_playtime_seconds"],
    )


def _session(row: Any) -> Session:
    ended = row["end_time"]
    return Session(
        session_id=str(row["id"]),
        user_id=str(row["user_id"]),
        product_id=str(row["product_id"]),
        started_at=from_datetime(row["start_time"]),
        last_heartbeat_at=from_datetime(row["last_heartbeat_at"]),
        ended_at=None if ended is None else from_datetime(ended),
        duration_seconds=row["duration_seconds"],
        client_session_id=None if row["client_session_id"] is None else str(row["client_session_id"]),
    )
