"""Who runs, and the version that all of them may write (ARCHITECTURE.md, "Versions")."""

import asyncio
from uuid import uuid4

from actors.fleet.ports import ProcessInfo
from tests.contract.world import World


def a_process(name: str, newest: int = 1) -> ProcessInfo:
    return ProcessInfo(process_id=uuid4().bytes, name=name, node="10.0.0.1", release=f"r{newest}", newest=newest)


async def test_a_process_that_announces_itself_runs_until_it_withdraws(world: World) -> None:
    """Announced again, it is the same one."""
    host = a_process("host-0")
    assert await world.fleet.announce(host, serving=False) == 1
    assert await world.fleet.announce(host, serving=True) == 1
    (running,) = await world.fleet.processes()
    assert (running.info, running.serving) == (host, True)
    assert 0 <= running.silent_s < 30
    await world.fleet.withdraw(host.process_id)
    assert await world.fleet.processes() == []


async def test_only_what_was_silent_for_long_is_forgotten(world: World) -> None:
    host = a_process("host-0")
    await world.fleet.announce(host, serving=True)
    await world.fleet.forget_silent()
    assert [process.info for process in await world.fleet.processes()] == [host]


async def test_the_latest_started_comes_first(world: World) -> None:
    """Who has a host's name now is told from who had it."""
    former, latter = a_process("host-0"), a_process("host-0")
    await world.fleet.announce(former, serving=True)
    await world.fleet.announce(latter, serving=False)
    await world.fleet.announce(former, serving=True)
    assert [process.info for process in await world.fleet.processes()] == [latter, former]


async def test_the_version_is_not_raised_while_a_process_runs_that_does_not_know_it(world: World) -> None:
    """Nobody may be written to in a shape it cannot read."""
    old, new = a_process("door-1", newest=1), a_process("host-0", newest=2)
    await world.fleet.announce(old, serving=True)
    await world.fleet.announce(new, serving=True)
    assert [process.info for process in await world.fleet.raise_version(2)] == [old]
    assert await world.fleet.version() == 1
    await world.fleet.withdraw(old.process_id)
    assert await world.fleet.raise_version(2) == []
    assert await world.fleet.version() == 2
    assert await world.fleet.announce(new, serving=True) == 2


async def test_the_version_never_goes_down(world: World) -> None:
    """An older release's command changes nothing."""
    assert await world.fleet.raise_version(3) == []
    assert await world.fleet.raise_version(1) == []
    assert await world.fleet.version() == 3


async def test_a_process_that_begins_while_the_version_is_raised_stops_it_or_sees_it(world: World) -> None:
    """No old process begins in between, unseen and unaware."""
    for version in range(2, 22):
        old = a_process("door-1", newest=version - 1)
        told, stopped_by = await asyncio.gather(
            world.fleet.announce(old, serving=True), world.fleet.raise_version(version)
        )
        assert told == version or [process.info for process in stopped_by] == [old]
        await world.fleet.withdraw(old.process_id)
        await world.fleet.raise_version(version)
