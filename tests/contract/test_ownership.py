"""Who may write, and how that is proved: takeover, fence, deposition (promise 3)."""

import pytest

from actors.domain.ids import HostId, Seq
from actors.ports import Deposed, OutcomeUnknown, StoreUnavailable
from tests.contract.rows import batch, new_user, outbox_row
from tests.contract.world import World

ME = HostId(0)
OTHER = HostId(1)


async def test_a_takeover_raises_the_epoch_and_publishes_the_address(world: World) -> None:
    """ARCHITECTURE.md, "Takeover", step 4."""
    first = await world.store(ME).take_over("10.0.0.1:7000")
    second = await world.store(ME).take_over("10.0.0.2:7000")

    assert (first.epoch, second.epoch) == (1, 2)
    host = (await world.map_reader.read_map()).hosts[ME]
    assert (host.epoch, host.address) == (2, "10.0.0.2:7000")


async def test_a_takeover_of_a_host_without_rows_can_be_tried_again(world: World) -> None:
    """The supervisor makes the rows before it starts a host; a host that is faster waits for it."""
    store = world.store(HostId(7))

    with pytest.raises(StoreUnavailable):
        await store.take_over("here:1")

    await world.supervisor.ensure_hosts([HostId(7)])
    assert (await store.take_over("here:1")).epoch == 1


async def test_the_next_seq_follows_the_journal_and_the_tables_never_a_clock(world: World) -> None:
    """ARCHITECTURE.md: max(flushed_seq, max(journal.seq)) + 1; a cut journal does not start it again."""
    store = world.store(ME)
    assert (await store.take_over("a:1")).next_seq == 1
    for seq in (1, 2, 3):
        await store.append(Seq(seq), b"body")
    await store.flush(batch(2))

    claim = await world.store(ME).take_over("a:1")
    assert (claim.flushed_seq, claim.next_seq) == (2, 4)

    again = world.store(ME)
    await again.take_over("a:1")
    await again.flush(batch(3))
    claim = await world.store(ME).take_over("a:1")
    assert (claim.flushed_seq, claim.next_seq) == (3, 4)


async def test_the_real_time_of_a_takeover_is_the_stores_clock(world: World) -> None:
    """ARCHITECTURE.md, "Time": no wall clock of a process."""
    before = await world.now()
    claim = await world.store(ME).take_over("a:1")
    assert before <= claim.real_now <= await world.now()


async def test_a_deposed_owner_writes_nothing_more_and_learns_it(world: World) -> None:
    """Promise 3: two writers can exist, two successful writers cannot."""
    old, new = world.store(ME), world.store(ME)
    await old.take_over("old:1")
    await old.append(Seq(1), b"old")
    await new.take_over("new:1")

    with pytest.raises(OutcomeUnknown):
        await old.append(Seq(2), b"too late")
    with pytest.raises(OutcomeUnknown):
        await old.check_fence()
    with pytest.raises((OutcomeUnknown, Deposed)):
        await old.flush(batch(1, outbox=[outbox_row(new_user(), 1)]))
    with pytest.raises(Deposed):
        await old.recover_journal(Seq(2))
    with pytest.raises(Deposed):
        await old.recover_flush()

    assert await world.journal(ME) == [(1, b"old")]
    assert await world.outbox() == []
    await new.append(Seq(2), b"new")
    await new.flush(batch(2))


async def test_a_flush_under_an_old_epoch_is_deposed_even_if_its_session_lives(world: World) -> None:
    """The flush's fence alone: the row is checked before anything else is sent."""
    store = world.store(ME)
    await store.take_over("a:1")
    await store.append(Seq(1), b"body")
    await world.raise_epoch(ME)

    with pytest.raises(Deposed):
        await store.flush(batch(1, outbox=[outbox_row(new_user(), 1)]))

    assert await world.outbox() == []
    assert await world.journal(ME) == [(1, b"body")]
    with pytest.raises(Deposed):
        await store.recover_flush()
    with pytest.raises(Deposed):
        await store.recover_journal(None)


async def test_a_takeover_leaves_other_hosts_alone(world: World) -> None:
    """The locks are a host's own."""
    mine, theirs = world.store(ME), world.store(OTHER)
    await theirs.take_over("theirs:1")
    await mine.take_over("mine:1")

    await theirs.append(Seq(1), b"body")
    await theirs.flush(batch(1))
    assert (await world.map_reader.read_map()).hosts[OTHER].epoch == 1


async def test_a_fence_check_tells_the_stores_time_while_the_owner_owns(world: World) -> None:
    """ARCHITECTURE.md: a batch without events makes a fence check."""
    store = world.store(ME)
    await store.take_over("a:1")
    before = await world.now()
    assert before <= await store.check_fence() <= await world.now()


async def test_nothing_is_proved_before_a_takeover_or_after_close(world: World) -> None:
    """Without the locks there is no claim."""
    store = world.store(ME)
    with pytest.raises(OutcomeUnknown):
        await store.append(Seq(1), b"body")
    with pytest.raises(OutcomeUnknown):
        await store.flush(batch(1))

    await store.take_over("a:1")
    await store.close()
    with pytest.raises(OutcomeUnknown):
        await store.check_fence()
    assert await world.journal(ME) == []


async def test_closing_frees_the_locks(world: World) -> None:
    """A drained host leaves nothing that its successor must wait for."""
    store = world.store(ME)
    await store.take_over("a:1")
    await store.close()
    await store.close()
    assert (await world.store(ME).take_over("b:1")).epoch == 2


async def test_without_a_server_a_takeover_can_be_tried_again(world: World) -> None:
    """``StoreUnavailable``, never ``Deposed``: nobody knows yet."""
    store = world.store(ME)
    await world.stop()
    with pytest.raises(StoreUnavailable):
        await store.take_over("a:1")


async def test_an_owner_that_recovered_is_deposed_like_any_other(world: World) -> None:
    """A replaced session holds the lock again: a takeover finds and ends it."""
    old, new = world.store(ME), world.store(ME)
    await old.take_over("old:1")
    await world.break_connections()
    await old.recover_journal(None)
    await old.recover_flush()
    await old.append(Seq(1), b"recovered")
    await new.take_over("new:1")

    with pytest.raises(OutcomeUnknown):
        await old.append(Seq(2), b"too late")
    with pytest.raises(OutcomeUnknown):
        await old.flush(batch(1))
    assert await world.journal(ME) == [(1, b"recovered")]
