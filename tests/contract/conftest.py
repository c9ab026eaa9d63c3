"""Each contract test runs twice: in memory and against a real Postgres."""

from collections.abc import AsyncIterator

import pytest

from actors.domain.ids import HostId
from tests.contract.memory_world import MemoryWorld
from tests.contract.postgres_world import postgres_world
from tests.contract.world import World


@pytest.fixture(params=["memory", "postgres"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A store with rows for hosts 0 and 1, which own every second shard, and for host 2, which owns none."""
    if request.param == "memory":
        made: World = MemoryWorld()
        await _prepare(made)
        yield made
    else:
        async with postgres_world(request.getfixturevalue("postgres_dsn")) as made:
            await _prepare(made)
            yield made


async def _prepare(world: World) -> None:
    await world.supervisor.prepare(2)
    await world.supervisor.ensure_hosts([HostId(0), HostId(1), HostId(2)])
