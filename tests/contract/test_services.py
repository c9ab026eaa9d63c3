"""The contract of the neighbours' ports: what the engine and the doors may count on, whoever answers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from actors.catalog import CatalogUnavailable
from actors.neighbours import InstallRefused, NeighbourUnavailable
from tests.contract.grpc_services_world import grpc_services_world
from tests.contract.services_world import (
    ACTIVE_USER,
    BLOCKED_USER,
    HALF_LIFE,
    LATER,
    NOT_FOR_SALE,
    PRODUCTS,
    STRANGER,
    SUPER_GAME,
    UNKNOWN,
    MemoryServicesWorld,
    ServicesWorld,
)


@pytest.fixture(params=["memory", "grpc"])
async def services(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServicesWorld]:
    if request.param == "memory":
        yield MemoryServicesWorld()
    else:
        async with grpc_services_world(tmp_path, request.getfixturevalue("redis_variables")) as world:
            yield world


async def test_a_product_is_known_once_it_was_asked_for(services: ServicesWorld) -> None:
    """R-LIB-4: ``peek`` never asks anybody."""
    assert services.catalog.peek(HALF_LIFE) is None
    before = services.catalog.generation
    answer = await services.catalog.get_many([HALF_LIFE, SUPER_GAME, HALF_LIFE])
    assert answer == {HALF_LIFE: PRODUCTS[0], SUPER_GAME: PRODUCTS[1]}
    assert services.catalog.peek(HALF_LIFE) == PRODUCTS[0]
    assert services.catalog.generation > before


async def test_what_the_catalog_does_not_have_is_none(services: ServicesWorld) -> None:
    """Absent and not learned are two things: a free game is granted only if the catalog knows it (R-LIB-5)."""
    assert await services.catalog.get_many([UNKNOWN, HALF_LIFE]) == {UNKNOWN: None, HALF_LIFE: PRODUCTS[0]}
    assert services.catalog.peek(UNKNOWN) is None
    assert await services.catalog.get_many([]) == {}


async def test_what_is_remembered_outlives_the_catalog(services: ServicesWorld) -> None:
    """R-LIB-4: a stale answer beats an error; what was never known is an error only if nothing else was asked for."""
    await services.catalog.get_many([HALF_LIFE])
    await services.down()
    assert await services.catalog.get_many([HALF_LIFE, SUPER_GAME]) == {HALF_LIFE: PRODUCTS[0]}
    with pytest.raises(CatalogUnavailable) as caught:
        await services.catalog.get_many([SUPER_GAME])
    assert caught.value.retry_after_s > 0


async def test_an_update_replaces_what_is_known_and_an_older_one_does_not(services: ServicesWorld) -> None:
    """R-LIB-4, R-EVT-3: whatever the order in which they come."""
    await services.catalog.get_many([HALF_LIFE])
    generation = services.catalog.generation
    newer = replace(PRODUCTS[0], title="Half-Life 3: Издание Года", updated_at=LATER + 30)
    await services.update(newer)
    assert services.catalog.peek(HALF_LIFE) == newer
    assert services.catalog.generation > generation
    await services.update(replace(PRODUCTS[0], title="Half-Life 2.5", updated_at=LATER + 20))
    assert services.catalog.peek(HALF_LIFE) == newer
    shown = await services.catalog.get_many([HALF_LIFE])
    assert shown == {HALF_LIFE: newer}


async def test_asking_twice_for_an_installation_begins_one(services: ServicesWorld) -> None:
    """R-LIB-6"""
    await services.downloads.request_install(user_id=ACTIVE_USER, product_id=HALF_LIFE)
    await services.downloads.request_install(user_id=ACTIVE_USER, product_id=HALF_LIFE)
    assert [tuple(one) for one in await services.installs()] == [(ACTIVE_USER, HALF_LIFE)]
    with pytest.raises(InstallRefused) as caught:
        await services.downloads.request_install(user_id=ACTIVE_USER, product_id=NOT_FOR_SALE)
    assert caught.value.reason


async def test_only_an_active_account_is_one(services: ServicesWorld) -> None:
    """R-CFG-2"""
    assert await services.accounts.is_active(ACTIVE_USER)
    assert not await services.accounts.is_active(BLOCKED_USER)
    assert not await services.accounts.is_active(STRANGER)


async def test_a_service_that_is_away_is_unavailable(services: ServicesWorld) -> None:
    """An absence says nothing about the user or the product: it is neither a no nor a yes."""
    await services.down()
    with pytest.raises(NeighbourUnavailable):
        await services.accounts.is_active(ACTIVE_USER)
    with pytest.raises(NeighbourUnavailable):
        await services.downloads.request_install(user_id=ACTIVE_USER, product_id=HALF_LIFE)
