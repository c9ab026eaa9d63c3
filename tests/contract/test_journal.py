"""The journal: acknowledged is durable, and an unknown outcome is found out (promises 1 and 4)."""

import asyncio

import pytest

from actors.domain.ids import HostId, Seq
from actors.ports import CommitRefused, HostStore, OutcomeUnknown, StoreUnavailable
from tests.contract.rows import batch
from tests.contract.world import World

ME = HostId(0)


async def owner(world: World, host_id: HostId = ME) -> HostStore:
    store = world.store(host_id)
    await store.take_over("a:1")
    return store


async def replayed(store: HostStore, after: int) -> list[tuple[Seq, bytes]]:
    return [row async for row in store.replay(Seq(after))]


async def test_a_new_owner_replays_what_was_appended_in_order(world: World) -> None:
    """Promise 1; more rows than one page of a replay holds, bodies up to what a large batch makes."""
    store = await owner(world)
    rows = [(Seq(seq), seq.to_bytes(2, "big") * (1 + seq % 7 * 700)) for seq in range(1, 451)]
    for seq, body in rows:
        await store.append(seq, body)

    successor = await owner(world)
    assert await replayed(successor, 0) == rows
    assert await replayed(successor, 200) == rows[200:]
    assert await replayed(successor, 450) == []


async def test_a_host_replays_only_its_own_rows(world: World) -> None:
    """Journals are per host, with sequences of their own."""
    mine, theirs = await owner(world), await owner(world, HostId(1))
    await mine.append(Seq(1), b"mine")
    await theirs.append(Seq(1), b"theirs")
    assert await replayed(await owner(world), 0) == [(1, b"mine")]


async def test_an_append_tells_the_stores_time(world: World) -> None:
    """ARCHITECTURE.md, "Time": each commit returns Postgres' clock."""
    store = await owner(world)
    before = await world.now()
    first = await store.append(Seq(1), b"")
    second = await store.append(Seq(2), b"")
    assert before <= first <= second <= await world.now()


async def test_a_seq_is_used_once(world: World) -> None:
    """A repeated append is refused and changes nothing."""
    store = await owner(world)
    await store.append(Seq(1), b"first")
    with pytest.raises(CommitRefused):
        await store.append(Seq(1), b"second")

    assert await world.journal(ME) == [(1, b"first")]
    await store.append(Seq(2), b"next")


@pytest.mark.parametrize("happened", [False, True])
async def test_recovery_finds_what_became_of_a_lost_commit(world: World, happened: bool) -> None:
    """Promise 4: a commit whose outcome is unknown is answered from what recovery finds."""
    store = await owner(world)
    await store.append(Seq(1), b"known")
    world.lose("journal", happened=happened)

    with pytest.raises(OutcomeUnknown):
        await store.append(Seq(2), b"unknown")
    assert await store.recover_journal(Seq(2)) is happened

    expected = [(1, b"known"), (2, b"unknown")] if happened else [(1, b"known")]
    assert await world.journal(ME) == expected
    await store.append(Seq(3 if happened else 2), b"goes on")


async def test_a_commit_on_its_way_never_happens_after_recovery(world: World) -> None:
    """Our former backend is ended before the row is looked for; else it could appear behind our back."""
    world.impatient()
    store = await owner(world)
    held = world.hold("journal")

    with pytest.raises(OutcomeUnknown):
        await store.append(Seq(1), b"late")
    assert await store.recover_journal(Seq(1)) is False
    await held.release()

    assert await world.journal(ME) == []
    await store.append(Seq(1), b"instead")


async def test_a_commit_on_its_way_never_happens_after_a_takeover(world: World) -> None:
    """Promise 3: the new owner has read all there will ever be of the old one."""
    world.impatient()
    old = await owner(world)
    held = world.hold("journal")
    with pytest.raises(OutcomeUnknown):
        await old.append(Seq(1), b"late")

    new = await owner(world)
    await held.release()

    assert await replayed(new, 0) == []
    assert await world.journal(ME) == []


async def test_a_cancelled_append_is_not_cancelled_in_the_store(world: World) -> None:
    """A commit in flight goes on, whatever becomes of its task; recovery tells what it came to."""
    store = await owner(world)
    held = world.hold("journal")
    append = asyncio.create_task(store.append(Seq(1), b"on its way"))
    await held.arrived()
    append.cancel()
    with pytest.raises(asyncio.CancelledError):
        await append

    await held.release()
    assert await world.journal(ME) == [(1, b"on its way")]
    with pytest.raises(OutcomeUnknown):
        await store.append(Seq(2), b"not before recovery")
    assert await store.recover_journal(Seq(1)) is True
    await store.append(Seq(2), b"goes on")


async def test_recovery_keeps_the_epoch_and_the_flush_session(world: World) -> None:
    """Nothing is reloaded and nobody deposed: only the lost session is replaced."""
    store = await owner(world)
    world.lose("journal", happened=True)
    with pytest.raises(OutcomeUnknown):
        await store.append(Seq(1), b"unknown")

    assert await store.recover_journal(Seq(1))
    await store.flush(batch(1))
    assert (await world.map_reader.read_map()).hosts[ME].epoch == 1


async def test_recovery_without_a_seq_only_brings_a_new_session(world: World) -> None:
    """After a fence check of unknown outcome there is no row to look for."""
    store = await owner(world)
    await world.break_connections()
    with pytest.raises(OutcomeUnknown):
        await store.check_fence()

    assert await store.recover_journal(None) is False
    await store.check_fence()


async def test_an_owner_outlives_a_restart_of_the_server(world: World) -> None:
    """R-NFR-3: both sessions come back under the same epoch, and nothing committed is lost."""
    store = await owner(world)
    await store.append(Seq(1), b"before")
    await world.break_connections()

    with pytest.raises(OutcomeUnknown):
        await store.append(Seq(2), b"during")
    with pytest.raises(OutcomeUnknown):
        await store.flush(batch(1))
    assert await store.recover_journal(Seq(2)) is False
    flushed, _ = await store.recover_flush()
    assert flushed == 0

    await store.append(Seq(2), b"after")
    await store.flush(batch(2))
    assert await world.journal(ME) == []


async def test_recovery_can_be_tried_again_while_the_server_is_away(world: World) -> None:
    """``StoreUnavailable``: it cannot be told yet."""
    store = await owner(world)
    await world.stop()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await store.recover_journal(Seq(1))
        with pytest.raises(StoreUnavailable):
            await store.recover_flush()
    with pytest.raises(StoreUnavailable):
        await store.read_shards()
    with pytest.raises(StoreUnavailable):
        await store.outbox_backlog()
