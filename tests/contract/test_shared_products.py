"""The contract of what processes share of the catalog: the newest by the catalog's time stays (R-LIB-4, R-EVT-3)."""

from collections.abc import AsyncIterator

import pytest

from actors.catalog import Product, ProductUpdate
from cluster.development import NO_SERVERS
from cluster.settings import load_settings
from cluster.wiring.neighbours import redis_settings
from persistence.redis.connection import RedisCalls
from persistence.redis.products import RedisProducts, SharedTimes
from persistence.services.catalog_ports import Learned, SharedProducts
from tests.memory.shared_products import MemorySharedProducts

TIMES = SharedTimes(keep_ms=60_000, fresh_ms=30_000)


@pytest.fixture(params=["memory", "redis"])
async def shared(request: pytest.FixtureRequest) -> AsyncIterator[RedisProducts | MemorySharedProducts]:
    if request.param == "memory":
        yield MemorySharedProducts(TIMES)
        return
    variables = request.getfixturevalue("redis_variables")
    settings = redis_settings(load_settings({"LIBRARY_ENVIRONMENT": "development", **NO_SERVERS, **variables}))
    assert settings is not None
    calls = RedisCalls(settings.open())
    yield RedisProducts(calls, TIMES)
    await calls.close()


def learned(as_of: int, title: str = "Игра", *, stale: bool = False) -> Learned:
    return Learned(product=Product(product_id="a", title=title, updated_at=1), as_of=as_of, stale=stale)


async def test_what_is_written_is_read_and_what_is_not_there_is_absent(shared: SharedProducts) -> None:
    none = Learned(product=None, as_of=5)
    assert await shared.write({"a": learned(5), "b": none}) == frozenset()
    assert await shared.read(["a", "b", "c"]) == {"a": learned(5), "b": none}


async def test_what_is_older_by_the_catalogs_time_is_not_written(shared: SharedProducts) -> None:
    await shared.write({"a": learned(20, "new")})
    assert await shared.write({"a": learned(10, "old"), "b": learned(1)}) == frozenset({"a"})
    assert (await shared.read(["a"]))["a"] == learned(20, "new")
    assert await shared.write({"a": learned(20, "the same moment")}) == frozenset()


async def test_a_stale_product_is_kept_and_said_to_be(shared: SharedProducts) -> None:
    await shared.write({"a": learned(5, stale=True)})
    assert (await shared.read(["a"]))["a"] == learned(5, stale=True)


async def test_an_update_patches_what_is_there(
    shared: RedisProducts | MemorySharedProducts,
) -> None:
    await shared.write({"a": learned(10)})
    await shared.apply(ProductUpdate(product_id="a", updated_at=20, title="Игра II"))
    found = (await shared.read(["a"]))["a"]
    assert found.product == Product(product_id="a", title="Игра II", updated_at=20)
    assert (found.as_of, found.stale) == (20, True)


async def test_an_answer_that_an_update_overtook_finds_its_mark(shared: RedisProducts | MemorySharedProducts) -> None:
    """Nothing was there when the update came; the answer was made before it and comes after it."""
    await shared.apply(ProductUpdate(product_id="a", updated_at=20, title="new"))
    assert await shared.read(["a"]) == {}
    assert await shared.write({"a": learned(10, "old")}) == frozenset({"a"})
    assert await shared.read(["a"]) == {}
    assert await shared.write({"a": learned(30, "newest")}) == frozenset()
    assert (await shared.read(["a"]))["a"] == learned(30, "newest")
