"""What the supervisor keeps, and the clock's origin."""

import asyncio

import pytest

from actors.domain.ids import HostId, Micros, Seq, ShardId, Term
from actors.ports import ClockOrigin, ShardGift
from tests.contract.rows import batch
from tests.contract.world import World


async def test_preparing_spreads_256_shards_over_the_hosts(world: World) -> None:
    """ARCHITECTURE.md: at first start, term 1."""
    cluster = await world.map_reader.read_map()
    assert set(cluster.shards) == set(range(256))
    assert {owner.term for owner in cluster.shards.values()} == {1}
    counts = [sum(owner.host_id == host for owner in cluster.shards.values()) for host in (0, 1)]
    assert counts == [128, 128]


async def test_preparing_again_changes_nothing(world: World) -> None:
    """Neither shards that moved nor the number that an operator set."""
    store = world.store(HostId(0))
    await store.take_over("a:1")
    await store.flush(batch(0, gifts=[ShardGift(ShardId(0), Term(1), HostId(2))]))
    await world.supervisor.set_wanted_hosts(3)
    before = await world.map_reader.read_map()

    await world.supervisor.prepare(5)
    await world.supervisor.ensure_hosts([HostId(0), HostId(1)])

    assert await world.map_reader.read_map() == before
    assert await world.supervisor.read_map() == before
    assert await world.supervisor.wanted_hosts() == 3


async def test_two_supervisors_may_prepare_at_once(world: World) -> None:
    """A supervisor is made again by any door, so for a moment there may be two."""
    hosts = [HostId(number) for number in range(5, 9)]
    await asyncio.gather(
        *(world.supervisor.prepare(4) for _ in range(3)),
        world.supervisor.ensure_hosts(hosts),
        world.supervisor.ensure_hosts(hosts[::-1]),
        world.supervisor.keep_partitions(),
        world.supervisor.keep_partitions(),
    )
    assert set(hosts) < set((await world.map_reader.read_map()).hosts)
    assert await world.supervisor.wanted_hosts() == 2


async def test_a_new_host_starts_at_epoch_0_with_no_address(world: World) -> None:
    """Until a takeover, nobody serves."""
    await world.supervisor.ensure_hosts([HostId(4)])
    host = (await world.map_reader.read_map()).hosts[HostId(4)]
    assert (host.epoch, host.address) == (0, None)
    claim = await world.store(HostId(4)).take_over("a:1")
    assert (claim.epoch, claim.flushed_seq, claim.next_seq) == (1, 0, Seq(1))


async def test_the_wanted_number_of_hosts_is_kept(world: World) -> None:
    """R-OPS-3: operators change it while the service runs."""
    assert await world.supervisor.wanted_hosts() == 2
    await world.supervisor.set_wanted_hosts(6)
    assert await world.supervisor.wanted_hosts() == 6


async def test_the_first_origin_is_the_stores_own_time_and_stays(world: World) -> None:
    """ARCHITECTURE.md, "Time": stored once, so that no restart moves an accelerated clock."""
    before = await world.now()
    first, now = await world.clock.clock_origin(20.0)
    assert first.real_at == first.service_at
    assert before <= first.real_at <= now

    again, later = await world.clock.clock_origin(20.0)
    assert again == first
    assert later >= now


@pytest.mark.parametrize("rate", [1.0, 0.5, 120.0])
async def test_a_changed_rate_starts_at_the_current_service_time(world: World, rate: float) -> None:
    """Service time never jumps, whatever the rate was before."""
    first, _ = await world.clock.clock_origin(20.0)
    second, now = await world.clock.clock_origin(rate)

    assert second.rate == rate
    assert second.real_at == now
    assert second.service_at == service_time(first, now)
    assert (await world.clock.clock_origin(rate))[0] == second


async def test_two_hosts_with_one_new_rate_agree_on_the_origin(world: World) -> None:
    """They start together after an operator changed it."""
    for rate in range(1, 31):
        origins = await asyncio.gather(*(world.clock.clock_origin(float(rate)) for _ in range(4)))
        assert len({(origin.real_at, origin.service_at, origin.rate) for origin, _ in origins}) == 1


def service_time(origin: ClockOrigin, real: Micros) -> int:
    return origin.service_at + int((real - origin.real_at) * origin.rate)
