"""The daily partitions of ``applied_commands``: made ahead, dropped as a whole when nobody may need them.

Days are UTC days of Postgres' own clock. The default partition is a net for rows whose day has no partition yet; they
move over when it is made.
"""

from datetime import date, timedelta
from typing import Any, Final

from persistence.postgres import locks
from persistence.postgres.pool import ConnectionPool

DAYS_AHEAD: Final = 2

KEPT_DAYS: Final = 2
"""Yesterday's and the day before's: a stored answer is looked for during 24 hours at most."""

_PREFIX: Final = "applied_commands_"

_TODAY: Final = "select (clock_timestamp() at time zone 'UTC')::date"

_EXISTING: Final = """
select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'applied_commands'::regclass
"""

_LOCK: Final = "select pg_advisory_xact_lock($1, 0)"


async def keep(pool: ConnectionPool) -> None:
    """Makes the partitions from today on and drops the old ones, a transaction each, so that no lock is held long."""
    today: date = await pool.fetchval(_TODAY)
    existing = {_day_of(row["relname"]) for row in await pool.fetch(_EXISTING)}
    for day in (today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)):
        if day not in existing:
            await _make(pool, day)
    oldest = today - timedelta(days=KEPT_DAYS)
    for old in existing:
        if old is not None and old < oldest:
            await _drop(pool, old)
    await pool.fetch(f"delete from {_PREFIX}default where applied_at < $1::date", oldest)


async def _make(pool: ConnectionPool, day: date) -> None:
    """Attached, not created in place: that locks the parent less, and rows in the default partition would forbid it."""
    name, first, last = _name(day), day.isoformat(), (day + timedelta(days=1)).isoformat()
    within = f"applied_at >= '{first} 00:00+00' and applied_at < '{last} 00:00+00'"

    async def work(connection: Any) -> None:
        await connection.execute(_LOCK, locks.HOUSEKEEPING)
        if await connection.fetchval("select to_regclass($1)", name) is not None:
            return
        await connection.execute(f"create table {name} (like applied_commands including defaults including indexes)")
        await connection.execute(f"lock table {_PREFIX}default in access exclusive mode")
        await connection.execute(
            f"with moved as (delete from {_PREFIX}default where {within} returning *) "
            f"insert into {name} select * from moved"
        )
        await connection.execute(
            f"alter table applied_commands attach partition {name} "
            f"for values from ('{first} 00:00+00') to ('{last} 00:00+00')"
        )

    await pool.transaction(work)


async def _drop(pool: ConnectionPool, day: date) -> None:
    async def work(connection: Any) -> None:
        await connection.execute(_LOCK, locks.HOUSEKEEPING)
        await connection.execute(f"drop table if exists {_name(day)}")

    await pool.transaction(work)


def _name(day: date) -> str:
    return f"{_PREFIX}{day:%Y%m%d}"


def _day_of(name: str) -> date | None:
    suffix = name.removeprefix(_PREFIX)
    return date.fromisoformat(suffix) if suffix.isdigit() else None
