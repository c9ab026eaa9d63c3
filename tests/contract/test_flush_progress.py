"""The flush and the log: how far the tables are, whose shards are given away with it, what recovery finds of it."""

import asyncio

import pytest

from actors.domain.ids import HostId, Seq, ShardId, Term
from actors.ports import CommitRefused, OutcomeUnknown, ShardGift, ShardOwner
from tests.contract.rows import (
    batch,
    item,
    new_user,
    outbox_row,
)
from tests.contract.world import ME, World, owner

OTHER = HostId(1)
ALL_SHARDS = [ShardId(number) for number in range(256)]


async def test_a_flush_cuts_the_journal_and_moves_the_progress_together(world: World) -> None:
    """Rows up to the seq are gone, later ones and other hosts' stay."""
    store = await owner(world, appended=5)
    theirs = world.store(OTHER)
    await theirs.take_over("b:1")
    await theirs.append(Seq(1), b"theirs")

    await store.flush(batch(2))
    assert [seq for seq, _ in await world.journal(ME)] == [3, 4, 5]
    await store.flush(batch(4))
    assert [seq for seq, _ in await world.journal(ME)] == [5]
    assert [seq for seq, _ in await world.journal(OTHER)] == [1]
    claim = await world.store(ME).take_over("a:2")
    assert (claim.flushed_seq, claim.next_seq) == (4, 6)


async def test_progress_never_goes_back(world: World) -> None:
    """A flush behind the tables is a mistake of ours, and refused."""
    store = await owner(world, appended=3)
    await store.flush(batch(2))
    with pytest.raises(CommitRefused):
        await store.flush(batch(1))
    await store.flush(batch(2))
    await store.flush(batch(3))


async def test_a_shard_is_given_away_at_its_term_only(world: World) -> None:
    """ARCHITECTURE.md, "Moving a shard": an update with our host and the term we know; the term goes up by one."""
    store = await owner(world, appended=1)
    given = await store.flush(
        batch(
            1,
            gifts=[
                ShardGift(ShardId(0), Term(1), OTHER),
                ShardGift(ShardId(2), Term(9), OTHER),
                ShardGift(ShardId(1), Term(1), ME),
                ShardGift(ShardId(4), Term(1), HostId(2)),
            ],
        )
    )

    assert given == {0, 4}
    owners = await store.read_shards()
    assert owners[ShardId(0)] == ShardOwner(ShardId(0), OTHER, Term(2))
    assert owners[ShardId(4)] == ShardOwner(ShardId(4), HostId(2), Term(2))
    assert owners[ShardId(2)] == ShardOwner(ShardId(2), ME, Term(1))
    assert owners[ShardId(1)] == ShardOwner(ShardId(1), OTHER, Term(1))


async def test_a_shard_is_given_away_without_anything_to_flush(world: World) -> None:
    """A quiet host must be able to give its shards away, too."""
    store = await owner(world, appended=0)
    assert await store.flush(batch(0, gifts=[ShardGift(ShardId(0), Term(1), OTHER)])) == {0}
    assert await store.flush(batch(0, gifts=[ShardGift(ShardId(0), Term(2), OTHER)])) == frozenset()


@pytest.mark.parametrize("happened", [False, True])
async def test_recovery_finds_how_far_the_tables_are(world: World, happened: bool) -> None:
    """ARCHITECTURE.md, "Flush": unknown outcome; what it finds is true of the gifts as well."""
    user, bought = new_user(), item()
    store = await owner(world, appended=1)
    whole = batch(1, items=[(user, bought)], gifts=[ShardGift(ShardId(0), Term(1), OTHER)])
    world.lose("flush", happened=happened)

    with pytest.raises(OutcomeUnknown):
        await store.flush(whole)
    flushed, owners = await store.recover_flush()

    assert flushed == (1 if happened else 0)
    assert owners[ShardId(0)].host_id == (OTHER if happened else ME)
    assert len(owners) == 256
    if not happened:
        assert await store.flush(whole) == {0}
    assert (await world.loader.libraries([user]))[user].items == {bought.product_id: bought}
    await store.append(Seq(2), b"goes on")
    await store.flush(batch(2))


async def test_a_flush_on_its_way_never_happens_after_recovery(world: World) -> None:
    """As for a commit: the former backend is ended before the progress is read."""
    world.impatient()
    store = await owner(world, appended=1)
    held = world.hold("flush")
    with pytest.raises(OutcomeUnknown):
        await store.flush(batch(1, outbox=[outbox_row(new_user(), 1)]))

    flushed, _ = await store.recover_flush()
    await held.release()

    assert flushed == 0
    assert await world.outbox() == []
    await store.flush(batch(1))


async def test_a_cancelled_flush_leaves_recovery_to_tell(world: World) -> None:
    """Its session carries nothing on: half a transaction must not meet the next one."""
    user = new_user()
    store = await owner(world, appended=1)
    held = world.hold("flush")
    flush = asyncio.create_task(store.flush(batch(1, outbox=[outbox_row(user, 1)])))
    await held.arrived()
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    await held.release()

    with pytest.raises(OutcomeUnknown):
        await store.flush(batch(1))
    flushed, _ = await store.recover_flush()
    assert (flushed, len(await world.outbox())) == (1, 1)


async def test_commits_go_on_while_a_flush_is_under_way(world: World) -> None:
    """Two sessions: a flush never blocks a commit, nor the other way round."""
    store = await owner(world, appended=1)
    held = world.hold("flush")
    flush = asyncio.create_task(store.flush(batch(1)))
    await held.arrived()
    await store.append(Seq(2), b"meanwhile")
    await store.check_fence()
    flush.cancel()
    await asyncio.gather(flush, return_exceptions=True)
    await held.release()
    assert [seq for seq, _ in await world.journal(ME)] == [2]
