"""Migrations: numbered, forward only, by one process at a time (R-DB-3)."""

import asyncio
from hashlib import sha256

import asyncpg
import pytest

from persistence.postgres import locks
from persistence.postgres.migrate import Migration, MigrationError, migrate, read_migrations


def migration(version: int, sql: str) -> Migration:
    return Migration(
        version=version, name=f"{version:04}_made_up.sql", sql=sql, checksum=sha256(sql.encode()).hexdigest()
    )


async def tables(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
        return {row["tablename"] for row in rows}
    finally:
        await connection.close()


async def test_a_fresh_database_gets_every_migration_once(postgres_dsn: str) -> None:
    names = [one.name for one in read_migrations()]
    assert names
    assert names == sorted(names)
    assert await migrate(postgres_dsn) == names
    assert await migrate(postgres_dsn) == []
    assert {"user_library_items", "playtime_sessions", "journal", "outbox", "hosts"} < await tables(postgres_dsn)


async def test_versions_are_distinct() -> None:
    """Each file that is missing is applied, not those above the highest: a gap may be filled later."""
    versions = [one.version for one in read_migrations()]
    assert len(set(versions)) == len(versions)


async def test_processes_that_migrate_at_once_apply_each_file_once(postgres_dsn: str) -> None:
    applied = await asyncio.gather(*(migrate(postgres_dsn) for _ in range(4)))
    assert sorted(applied, key=len) == [[], [], [], [one.name for one in read_migrations()]]


async def test_who_waits_too_long_for_another_is_told(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("select pg_advisory_lock($1, 0)", locks.MIGRATION)
    with pytest.raises(MigrationError, match="another migration"):
        await migrate(postgres_dsn, lock_timeout_s=0.1)
    await connection.close()
    assert await migrate(postgres_dsn)


async def test_an_applied_file_must_not_change(postgres_dsn: str) -> None:
    """R-DB-3, forward only: the databases that have it already would never get the change."""
    await migrate(postgres_dsn, migrations=[migration(1, "create table a ()")])
    changed = [migration(1, "create table a (b int)"), migration(2, "create table c ()")]
    with pytest.raises(MigrationError, match=r"0001_made_up\.sql has changed"):
        await migrate(postgres_dsn, migrations=changed)
    assert "c" not in await tables(postgres_dsn)


async def test_a_newer_database_is_refused(postgres_dsn: str) -> None:
    """An old release must not start on tables it does not know."""
    both = [migration(1, "create table a ()"), migration(2, "create table b ()")]
    await migrate(postgres_dsn, migrations=both)
    with pytest.raises(MigrationError, match="newer than this release"):
        await migrate(postgres_dsn, migrations=both[:1])


async def test_a_file_that_fails_leaves_nothing_of_itself(postgres_dsn: str) -> None:
    """Those before it stay, and it is tried again next time."""
    good = migration(1, "create table a ()")
    with pytest.raises(MigrationError, match=r"0002_made_up\.sql failed: .*nowhere") as refusal:
        await migrate(postgres_dsn, migrations=[good, migration(2, "create table b ();\nselect * from nowhere")])
    assert "\n" not in str(refusal.value)
    assert "b" not in await tables(postgres_dsn)
    assert await migrate(postgres_dsn, migrations=[good, migration(2, "create table b ()")]) == ["0002_made_up.sql"]


async def test_without_a_server_the_error_is_one_line() -> None:
    with pytest.raises(MigrationError, match="cannot connect") as refusal:
        await migrate("postgresql://nobody@127.0.0.1:1/none")
    assert "\n" not in str(refusal.value)


async def test_a_file_outside_a_transaction_is_run_again_until_all_of_it_is_done(postgres_dsn: str) -> None:
    """R-DB-3: an index is built while the table is written, which no transaction can do; what was begun is not in the
    way the next time."""
    table = migration(1, "create table a (b int)")
    index = (
        "-- outside a transaction\n\ndrop index concurrently if exists i;\n\ncreate index concurrently i on a (b);\n"
    )
    with pytest.raises(MigrationError, match=r"0002_made_up\.sql failed: .*nowhere"):
        await migrate(postgres_dsn, migrations=[table, migration(2, f"{index}select * from nowhere;\n")])
    assert await migrate(postgres_dsn, migrations=[table, migration(2, index)]) == ["0002_made_up.sql"]


async def test_processes_that_wait_do_not_hold_up_an_index(postgres_dsn: str) -> None:
    """Each that waits for its turn would be waited for."""
    files = [
        migration(1, "create table a (b int)"),
        migration(2, "-- outside a transaction\nselect pg_sleep(0.5);\ncreate index concurrently i on a (b);\n"),
    ]
    applied = await asyncio.gather(*(migrate(postgres_dsn, migrations=files) for _ in range(4)))
    assert sorted(applied, key=len) == [[], [], [], [one.name for one in files]]


async def test_a_migration_that_waits_for_a_table_does_not_stop_its_writers(postgres_dsn: str) -> None:
    """R-DB-3: they queue behind a waiter for an exclusive lock, so it waits in short turns."""
    await migrate(postgres_dsn, migrations=[migration(1, "create table a (b int)")])
    reader, writer = [await asyncpg.connect(postgres_dsn) for _ in range(2)]
    await reader.execute("begin; select * from a")
    files = [migration(1, "create table a (b int)"), migration(2, "alter table a add column c int")]
    migrating = asyncio.create_task(migrate(postgres_dsn, migrations=files))
    blocked = "select count(*) from pg_locks where not granted and mode = 'AccessExclusiveLock'"
    async with asyncio.timeout(20):
        while not await reader.fetchval(blocked):  # noqa: ASYNC110 - another session's lock has no event
            await asyncio.sleep(0.01)
        await writer.execute("insert into a values (1)")
        assert not migrating.done()
        await reader.execute("commit")
        assert await migrating == ["0002_made_up.sql"]
    await reader.close()
    await writer.close()
