"""The origin of service time, stored once, so that no restart moves an accelerated clock."""

import math
from typing import Any, Final

from actors.domain.ids import Micros
from actors.ports import ClockOrigin
from persistence.postgres.pool import ConnectionPool

_NOW: Final = "select clock_timestamp()"

_SET_ONCE: Final = """
insert into clock_origin (real_at, service_at, rate) values ($1, $1, $2) on conflict do nothing
"""

_READ_FOR_UPDATE: Final = "select real_at, service_at, rate from clock_origin for update"

_MOVE: Final = "update clock_origin set real_at = $1, service_at = $2, rate = $3"


class PostgresClockStore:
    """See ``actors.ports.ClockStore``."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def clock_origin(self, rate: float) -> tuple[ClockOrigin, Micros]:
        if not (math.isfinite(rate) and rate > 0):
            raise ValueError("a rate must be a finite positive number")

        async def work(connection: Any) -> tuple[ClockOrigin, Micros]:
            await connection.execute(_SET_ONCE, await connection.fetchval(_NOW), rate)
            origin = ClockOrigin(*await connection.fetchrow(_READ_FOR_UPDATE))
            # Read with the row locked: whoever changes the rate sees the moment of the change before it.
            now = Micros(await connection.fetchval(_NOW))
            if origin.rate != rate:
                origin = moved(origin, now, rate)
                await connection.execute(_MOVE, origin.real_at, origin.service_at, origin.rate)
            return origin, now

        return await self._pool.transaction(work)


def moved(origin: ClockOrigin, now: Micros, rate: float) -> ClockOrigin:
    """A new rate from ``now`` on, at the service time that the old one gives for now."""
    elapsed = max(0, now - origin.real_at)
    return ClockOrigin(now, Micros(origin.service_at + math.floor(elapsed * origin.rate)), rate)
