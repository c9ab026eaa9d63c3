"""What only a real Postgres can show of the store: HOT updates, sessions that are ended, frozen or cancelled, plans."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.domain.ids import SECOND, HostId, Micros, Seq, UserId, shard_of
from actors.ports import CommitRefused, OutcomeUnknown, StoreUnavailable
from persistence.postgres.connection import Timeouts
from persistence.postgres.host_store import PostgresHostStore
from tests.contract.postgres_world import PostgresWorld, postgres_world
from tests.contract.rows import batch, command, live, new_user
from tests.support.cutting_proxy import COMMIT, Cut

ME = HostId(0)
FROZEN_OWNER = Path(__file__).parents[1] / "support" / "frozen_owner.py"


@pytest.fixture
async def world(postgres_dsn: str) -> AsyncIterator[PostgresWorld]:
    async with postgres_world(postgres_dsn) as made:
        await made.supervisor.prepare(2)
        await made.supervisor.ensure_hosts([ME, HostId(1)])
        yield made


async def test_heartbeats_stay_on_their_page(world: PostgresWorld) -> None:
    """Any index on last_heartbeat_at would turn cheap HOT updates into expensive ones; and pages need room. A third
    of the live sessions beats in each flush, which is more than the accelerated clock of a replay brings."""
    store = world.store(ME)
    await store.take_over("a:1")
    sessions = [live(device_id=str(uuid4())) for _ in range(3000)]
    await store.flush(batch(0, sessions_live=[(new_user(), one) for one in sessions]))
    chance = random.Random(1)
    beats = 0
    for turn in range(12):
        beating = chance.sample(sessions, len(sessions) // 3)
        at = Micros(sessions[0].started_at + turn * SECOND)
        await store.flush(batch(0, heartbeats=[(one.session_id, at, 60) for one in beating]))
        beats += len(beating)

    await store.close()
    await eventually(world, "n_tup_upd", "playtime_sessions", beats)
    assert await counted(world, "n_tup_hot_upd", "playtime_sessions") >= 0.99 * beats


async def counted(world: PostgresWorld, figure: str, table: str) -> int:
    value: int = await world.admin.fetchval(f"select {figure} from pg_stat_user_tables where relname = $1", table)
    return value


async def eventually(world: PostgresWorld, figure: str, table: str, expected: int) -> None:
    """A session's statistics arrive when it ends."""

    async def arrived() -> bool:
        return await counted(world, figure, table) >= expected

    await until(arrived)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Asks again and again, for what the server tells nobody about."""
    async with asyncio.timeout(20):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.05)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(st.binary(min_size=16, max_size=16), min_size=50, max_size=100))
async def test_sql_and_python_agree_on_the_shard(world: PostgresWorld, ids: list[bytes]) -> None:
    """ARCHITECTURE.md: ``shard(entity_id)`` is a function that SQL can compute too; 1,000 ids and more."""
    rows = await world.admin.fetch("select id, library_shard(id) as shard from unnest($1::uuid[]) as id", ids)
    assert {row["id"]: row["shard"] for row in rows} == {one: shard_of(UserId(one)) for one in ids}


async def test_a_frozen_owner_is_deposed_and_writes_nothing_when_it_wakes(world: PostgresWorld) -> None:
    """ARCHITECTURE.md, "Takeover": tried with SIGSTOP and SIGCONT; nothing that it acknowledged is lost."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(FROZEN_OWNER), world.dsn, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        acknowledged = [int(await asyncio.wait_for(process.stdout.readline(), 30)) for _ in range(20)]
        os.kill(process.pid, signal.SIGSTOP)
        successor = world.store(ME)
        claim = await successor.take_over("successor:1")
        replayed = [seq async for seq, _ in successor.replay(Seq(0))]
        os.kill(process.pid, signal.SIGCONT)
        rest = (await asyncio.wait_for(process.communicate(), 30))[0].split()
    finally:
        with suppress(ProcessLookupError):
            process.kill()

    acknowledged += [int(word) for word in rest[:-1]]
    assert rest[-1] == b"OutcomeUnknown"
    assert set(acknowledged) <= set(replayed)
    assert claim.next_seq == max(replayed) + 1
    assert [seq for seq, _ in await world.journal(ME)] == replayed


async def test_takeovers_at_once_leave_one_owner(world: PostgresWorld) -> None:
    """Whatever fresh processes do to each other, one writer is left."""
    stores = [world.store(ME) for _ in range(4)]
    await asyncio.gather(*(store.take_over(f"a:{n}") for n, store in enumerate(stores)), return_exceptions=True)
    wrote = await asyncio.gather(
        *(store.append(Seq(1), bytes([n])) for n, store in enumerate(stores)), return_exceptions=True
    )
    assert sum(isinstance(outcome, int) for outcome in wrote) == 1
    assert len(await world.journal(ME)) == 1


async def test_recovery_ends_only_our_own_former_backend(world: PostgresWorld) -> None:
    """A former owner that has not noticed must not shoot at its successor, whose lock it would need."""
    world.timeouts = Timeouts(lock_s=0.3)
    old, new = world.store(ME), world.store(ME)
    await old.take_over("old:1")
    await new.take_over("new:1")
    await world.admin.execute("update hosts set epoch = epoch - 1 where host_id = $1", ME)

    with pytest.raises(StoreUnavailable):
        await old.recover_journal(None)
    with pytest.raises(StoreUnavailable):
        await old.recover_flush()
    with pytest.raises(OutcomeUnknown):
        await old.append(Seq(1), b"without the lock")
    with pytest.raises(OutcomeUnknown):
        await old.flush(batch(0))

    await new.append(Seq(1), b"still the owner")


async def test_a_commit_is_never_cancelled(world: PostgresWorld) -> None:
    """A cancelled commit that waits for a standby counts as done; so a time-out or a cancelled task closes the session
    instead, and no cancel request is ever sent."""
    world.impatient()
    store = world.store(ME)
    await store.take_over("a:1")
    held = [world.proxy.plan("journal", Cut.HELD), world.proxy.plan("flush", Cut.HELD, COMMIT)]
    with pytest.raises(OutcomeUnknown):
        await store.append(Seq(1), b"timed out")
    with pytest.raises(OutcomeUnknown):
        await store.flush(batch(0))
    for plan in held:
        plan.released.set()

    await store.recover_journal(Seq(1))
    plan = world.proxy.plan("journal", Cut.HELD)
    task = asyncio.create_task(store.append(Seq(2), b"cancelled"))
    await plan.arrived.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    plan.released.set()
    await plan.delivered.wait()
    assert world.proxy.cancel_requests == 0


async def test_a_transaction_that_stands_still_is_ended_by_the_server(world: PostgresWorld) -> None:
    """Half a flush on a connection that nobody closes blocks no takeover for long."""
    world.impatient()
    store = world.store(ME)
    await store.take_over("a:1")
    world.proxy.plan("flush", Cut.HELD, COMMIT)
    with pytest.raises(OutcomeUnknown):
        await store.flush(batch(0))

    async def gone() -> bool:
        backends = "select count(*) from pg_stat_activity where application_name like '%-flush'"
        return bool(await world.admin.fetchval(backends) == 0)

    await until(gone)


async def test_a_takeover_cannot_pass_a_flush_under_way(world: PostgresWorld) -> None:
    """The fence row is held ``for share`` until the commit; ``for key share`` would let the epoch move in between."""
    store = world.store(ME)
    await store.take_over("a:1")
    plan = world.proxy.plan("flush", Cut.HELD, COMMIT)
    flush = asyncio.create_task(store.flush(batch(0)))
    await plan.arrived.wait()

    await world.admin.execute("set lock_timeout = '100ms'")
    with pytest.raises(asyncpg.LockNotAvailableError):
        await world.raise_epoch(ME)
    plan.released.set()
    await asyncio.gather(flush, return_exceptions=True)
    await world.raise_epoch(ME)


async def test_a_server_that_says_no_leaves_no_doubt(world: PostgresWorld) -> None:
    """An ERROR of the server is a refusal: nothing to recover, the session goes on."""
    store = world.store(ME)
    await store.take_over("a:1")
    await world.admin.execute("alter table journal add constraint never check (seq < 0)")
    with pytest.raises(CommitRefused, match="23514"):
        await store.append(Seq(1), b"body")
    await world.admin.execute("alter table journal drop constraint never")
    await store.append(Seq(1), b"body")


async def test_a_fence_check_by_commit_writes_to_the_log(world: PostgresWorld) -> None:
    """ARCHITECTURE.md: with a standby that could be promoted, the check is a small synchronous commit."""
    store = PostgresHostStore(dsn=world.dsn, host_id=ME, reads=world.pool, timeouts=Timeouts(), fence_by_commit=True)
    await store.take_over("a:1")
    before = await world.admin.fetchval("select pg_current_wal_flush_lsn()")
    await store.check_fence()
    assert await world.admin.fetchval("select pg_current_wal_flush_lsn() > $1", before)
    await store.close()


async def test_flushes_find_their_rows_by_index_whatever_the_statistics_say(world: PostgresWorld) -> None:
    """A plan that was made on an empty table must not read all of a large one."""
    before = await scans_of_migrations(world)
    store = world.store(ME)
    await store.take_over("a:1")
    first = live()
    await store.flush(batch(0, sessions_live=[(new_user(), first)]))
    await world.admin.execute("analyze playtime_sessions")
    for turn in range(10):
        await store.flush(batch(0, heartbeats=[(first.session_id, Micros(first.started_at + turn), 60)]))
    sessions = [live() for _ in range(4000)]
    await store.flush(batch(0, sessions_live=[(new_user(), one) for one in sessions]))
    for one in sessions[:10]:
        await store.flush(batch(0, heartbeats=[(one.session_id, Micros(one.started_at + 1), 60)]))
    await world.loader.live_sessions([shard_of(new_user())])
    await store.close()
    await world.pool.close()
    await eventually(world, "n_tup_upd", "playtime_sessions", 20)
    assert await counted(world, "seq_scan", "playtime_sessions") == before


async def scans_of_migrations(world: PostgresWorld) -> int:
    """They read the table too, to check it and to build indexes; their figures are in once their session is gone."""

    async def gone() -> bool:
        sessions = "select count(*) from pg_stat_activity where application_name = 'library-migrate'"
        return bool(await world.admin.fetchval(f"{sessions} and datname = current_database()") == 0)

    await until(gone)
    return await counted(world, "seq_scan", "playtime_sessions")


async def test_remembered_commands_move_to_their_days_partition(world: PostgresWorld) -> None:
    """The default partition is a net: what it caught moves over, and old days are dropped as a whole."""
    user, now = new_user(), await world.now()
    store = world.store(ME)
    await store.take_over("a:1")
    await store.flush(batch(0, commands=[(user, command(now))]))
    assert await world.admin.fetchval("select count(*) from applied_commands_default") == 1

    await world.admin.execute(
        "create table applied_commands_20200101 partition of applied_commands "
        "for values from ('2020-01-01 00:00+00') to ('2020-01-02 00:00+00')"
    )
    await world.supervisor.keep_partitions()

    assert await world.admin.fetchval("select count(*) from applied_commands_default") == 0
    partitions = await world.admin.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'applied_commands'::regclass"
    )
    assert len(partitions) == 4
    assert "applied_commands_20200101" not in {row["name"] for row in partitions}
    assert len((await world.loader.commands([user]))[user]) == 1
