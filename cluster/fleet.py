"""The fleet as commands see it: a short connection to the database, nothing of Ray."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from actors.fleet.ports import FleetStore
from cluster.settings import Settings
from cluster.wiring.values import dsn, timeouts
from persistence.postgres.fleet_store import PostgresFleetStore
from persistence.postgres.pool import ConnectionPool

T = TypeVar("T")


async def with_fleet(settings: Settings, work: Callable[[FleetStore], Awaitable[T]]) -> T:
    """``StoreUnavailable`` when the database cannot be reached."""
    pool = await ConnectionPool.open(
        dsn=dsn(settings), application_name="library-cli", timeouts=timeouts(settings), size=1
    )
    try:
        return await work(PostgresFleetStore(pool))
    finally:
        await pool.close()
