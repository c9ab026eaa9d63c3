"""A few connections for what needs no lock: loads, the map, housekeeping, history. No
error of the driver leaves it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Self, TypeVar

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from persistence.postgres.codecs import use_domain_types
from persistence.postgres.connection import DRIVER_ERRORS, Timeouts, alive_settings, milliseconds, unavailable

T = TypeVar("T")

INDEX_ONLY_PLANS: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""Every statement here finds its rows by an index. A plan made while a table was small or not yet analysed would read
all of it, and stay cached while the table grows."""


class ConnectionPool:
    """At most ``size`` connections, opened when first needed. Every call ends within ``read_s`` and the wait for a
    connection within another; then, or when the server is away, it raises ``StoreUnavailable``."""

    def __init__(self, pool: asyncpg.Pool, timeouts: Timeouts) -> None:
        self._pool = pool
        self._timeouts = timeouts

    @classmethod
    async def open(cls, *, dsn: str, application_name: str, timeouts: Timeouts, size: int = 2) -> Self:
        """Connects to nothing yet, so it works while Postgres is away."""
        pool = await asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=size,
            timeout=timeouts.connect_s,
            max_cached_statement_lifetime=0,
            target_session_attrs=SessionAttribute.read_write,
            init=use_domain_types,
            reset=_leave_as_it_is,
            server_settings={
                "application_name": application_name,
                "default_transaction_isolation": "read committed",
                "lock_timeout": milliseconds(timeouts.lock_s),
                **alive_settings(timeouts),
                **INDEX_ONLY_PLANS,
            },
        )
        return cls(pool, timeouts)

    async def fetch(self, sql: str, *args: object) -> list[Any]:
        """All rows of one statement."""
        return await self.run(lambda connection: connection.fetch(sql, *args, timeout=self._timeouts.read_s))

    async def fetchval(self, sql: str, *args: object) -> Any:
        """The first column of the first row, None when there is none."""
        return await self.run(lambda connection: connection.fetchval(sql, *args, timeout=self._timeouts.read_s))

    async def run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Runs ``work`` on a connection of its own."""
        try:
            async with self._pool.acquire(timeout=self._timeouts.read_s) as connection:
                return await work(connection)
        except DRIVER_ERRORS as error:
            raise unavailable(error) from error

    async def transaction(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Runs ``work`` in a transaction, all or nothing, as a whole within ``read_s``. When it raises
        ``StoreUnavailable`` the transaction may have been committed all the same: work must be repeatable."""

        async def in_transaction(connection: Any) -> T:
            async with asyncio.timeout(self._timeouts.read_s), connection.transaction():
                return await work(connection)

        return await self.run(in_transaction)

    async def close(self) -> None:
        """Drops all connections at once: reads in flight fail."""
        self._pool.terminate()


async def _leave_as_it_is(_connection: object) -> None:
    """No statement here changes its session, so a returned connection needs no round trip to be cleaned."""
