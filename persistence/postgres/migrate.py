"""Applies the numbered SQL files of ``migrations/``, forward only (R-DB-3).

Each file runs in a transaction of its own together with its row in ``schema_migrations``; one that begins with
``-- outside a transaction`` statement by statement, each of which must bear to be run again: for what takes long, while
the previous release goes on writing. A lock lets one process do it at a time; the others wait for it and then find
nothing left to do.
"""

import asyncio
import re
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

import asyncpg

from persistence.postgres import locks

_FILE_NAME: Final = re.compile(r"(?P<version>\d{4})_[a-z0-9_]+\.sql")

_CREATE_HISTORY: Final = """
create table if not exists schema_migrations (
    version integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp()
)
"""

_NOTE: Final = "insert into schema_migrations (version, name, checksum) values ($1, $2, $3)"

OUTSIDE: Final = "-- outside a transaction"
LOCK_TURN_MS: Final = 2_000
LOCK_PAUSE_S: Final = 0.1


class MigrationError(Exception):
    """The database cannot be brought to this release's schema; the message is one line for the operator."""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One file; ``checksum`` is the SHA-256 of its bytes, so that an applied file can't change unnoticed."""

    version: int
    name: str
    sql: str
    checksum: str


def read_migrations() -> list[Migration]:
    """The files of this release, by version."""
    found = []
    for file in files("persistence.postgres").joinpath("migrations").iterdir():
        if (match := _FILE_NAME.fullmatch(file.name)) is not None:
            content = file.read_bytes()
            found.append(
                Migration(
                    version=int(match["version"]),
                    name=file.name,
                    sql=content.decode(),
                    checksum=sha256(content).hexdigest(),
                )
            )
    return sorted(found, key=lambda migration: migration.version)


async def migrate(
    dsn: str, *, migrations: list[Migration] | None = None, lock_timeout_s: float = 60, statement_timeout_s: float = 600
) -> list[str]:
    """Brings the database up to date; the names of the files it applied, none if there was nothing to do.

    Raises ``MigrationError`` when an applied file has changed since, when the database is newer than this release, when
    another process holds the lock for too long, when a file fails, or when the server cannot be reached.
    """
    try:
        connection = await asyncpg.connect(
            dsn,
            timeout=10,
            server_settings={
                "application_name": "library-migrate",
                "lock_timeout": f"{int(lock_timeout_s * 1000)}ms",
                "statement_timeout": f"{int(statement_timeout_s * 1000)}ms",
            },
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise MigrationError(f"cannot connect to Postgres: {_one_line(error)}") from error
    try:
        return await _migrate(connection, read_migrations() if migrations is None else migrations, lock_timeout_s)
    except asyncpg.LockNotAvailableError as error:
        raise MigrationError(f"a lock was not free within {lock_timeout_s:g} s; does another migration run?") from error
    finally:
        connection.terminate()


async def _migrate(connection: asyncpg.Connection, migrations: list[Migration], lock_timeout_s: float) -> list[str]:
    await _alone(connection, lock_timeout_s)
    await connection.execute(_CREATE_HISTORY)
    applied = {
        row["version"]: (row["name"], row["checksum"])
        for row in await connection.fetch("select version, name, checksum from schema_migrations")
    }
    _check_history(applied, migrations)
    names = []
    for migration in migrations:
        if migration.version not in applied:
            await _apply(connection, migration, lock_timeout_s)
            names.append(migration.name)
    return names


def _check_history(applied: dict[int, tuple[str, str]], migrations: list[Migration]) -> None:
    known = {migration.version: migration for migration in migrations}
    for version, (name, checksum) in sorted(applied.items()):
        if version not in known:
            raise MigrationError(f"the database is newer than this release: {name} is applied and not known here")
        if checksum != known[version].checksum:
            raise MigrationError(f"{name} has changed since it was applied; migrations are forward only")


async def _alone(connection: asyncpg.Connection, timeout_s: float) -> None:
    """Takes the lock of migrations. Asks again and again: a session that waited for it would hold a snapshot, which an
    index that is built beside the running service waits for."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while not await connection.fetchval("select pg_try_advisory_lock($1, 0)", locks.MIGRATION):
        if loop.time() >= deadline:
            raise asyncpg.LockNotAvailableError("another migration has the lock")
        await asyncio.sleep(LOCK_PAUSE_S)


async def _apply(connection: asyncpg.Connection, migration: Migration, lock_timeout_s: float) -> None:
    """Waits for a table's lock in short turns: whoever comes after a waiter for an exclusive lock waits with it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + lock_timeout_s
    await connection.execute(f"set lock_timeout = {LOCK_TURN_MS}")
    while True:
        try:
            await _run(connection, migration)
            return
        except asyncpg.LockNotAvailableError:
            if loop.time() >= deadline:
                raise
            await asyncio.sleep(LOCK_PAUSE_S)


async def _run(connection: asyncpg.Connection, migration: Migration) -> None:
    try:
        if migration.sql.startswith(OUTSIDE):
            await connection.execute("set statement_timeout = 0")
            for statement in migration.sql.split(";\n"):
                if statement.strip():
                    await connection.execute(statement)
            await connection.execute(_NOTE, migration.version, migration.name, migration.checksum)
        else:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(_NOTE, migration.version, migration.name, migration.checksum)
    except asyncpg.LockNotAvailableError:
        raise
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise MigrationError(f"{migration.name} failed: {_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
