"""The remembered catalog: one call for many askers, a stale title rather than a wait, never an older one (R-LIB-4)."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from actors.catalog import CatalogUnavailable, Product, ProductUpdate
from actors.neighbours import NeighbourUnavailable
from persistence.services.catalog import CachedCatalog
from persistence.services.catalog_memory import CatalogLimits
from persistence.services.catalog_ports import Learned
from tests.memory.shared_products import MemorySharedProducts
from tests.support.virtual_time import in_virtual_time

LIMITS = CatalogLimits(max_products=1_000, fresh_s=300.0, negative_s=30.0, retry_s=2.0, patience_s=1.0)


class Source:
    """A catalog whose time is ``as_of``; ``asked`` lists the ids of every call."""

    def __init__(self, *titles: str) -> None:
        self.titles = dict.fromkeys(titles, "")
        self.as_of = 1_000
        self.takes_s = 0.01
        self.down = False
        self.asked: list[list[str]] = []

    async def fetch(self, product_ids: Sequence[str]) -> Mapping[str, Learned]:
        self.asked.append(list(product_ids))
        seen, as_of = dict(self.titles), self.as_of
        await asyncio.sleep(self.takes_s)
        if self.down:
            raise NeighbourUnavailable("catalog", 3.0)
        return {
            one: Learned(product=product(one, seen[one]) if one in seen else None, as_of=as_of) for one in product_ids
        }


def product(product_id: str, more: str = "", updated_at: int = 10) -> Product:
    return Product(product_id=product_id, title=product_id + more, updated_at=updated_at)


def catalog(
    source: Source, shared: MemorySharedProducts | None = None, limits: CatalogLimits = LIMITS
) -> CachedCatalog:
    return CachedCatalog(source=source, shared=shared, limits=limits)


def test_many_who_ask_for_the_same_make_one_call() -> None:
    async def body() -> None:
        source = Source("a", "b", "c")
        made = catalog(source)
        first = asyncio.gather(*(made.get_many(["a"]) for _ in range(50)))
        await asyncio.sleep(0.005)
        later = asyncio.gather(*(made.get_many(["a", name]) for _ in range(50) for name in ("b", "c")))
        assert all(answer == {"a": product("a")} for answer in await first)
        assert len(await later) == 100
        assert source.asked == [["a"], ["b", "c"]]

    in_virtual_time(body)


def test_an_old_title_is_shown_at_once_and_asked_for_again() -> None:
    async def body() -> None:
        source = Source("a")
        made = catalog(source)
        await made.get_many(["a"])
        await asyncio.sleep(LIMITS.fresh_s + 1)
        source.titles["a"], source.as_of = " II", 2_000
        began = asyncio.get_running_loop().time()
        assert await made.get_many(["a"]) == {"a": product("a")}
        assert made.peek("a") == product("a")
        assert asyncio.get_running_loop().time() == began
        await asyncio.sleep(0.1)
        assert made.peek("a") == product("a", " II")
        assert len(source.asked) == 2

    in_virtual_time(body)


def test_an_old_title_outlives_the_catalog_for_as_long_as_it_is_away() -> None:
    async def body() -> None:
        source = Source("a")
        made = catalog(source)
        await made.get_many(["a"])
        source.down = True
        for _ in range(20):
            await asyncio.sleep(LIMITS.fresh_s)
            assert await made.get_many(["a", "b"]) == {"a": product("a")}
            assert made.peek("a") is not None
        with pytest.raises(CatalogUnavailable) as caught:
            await made.get_many(["b"])
        assert caught.value.retry_after_s == 3.0

    in_virtual_time(body)


def test_a_catalog_that_is_away_is_not_asked_at_every_look() -> None:
    async def body() -> None:
        source = Source("a")
        made = catalog(source)
        await made.get_many(["a"])
        source.down = True
        await asyncio.sleep(LIMITS.fresh_s + 1)
        for _ in range(100):
            made.peek("a")
            await asyncio.sleep(0.1)
        assert len(source.asked) <= 1 + 10 / LIMITS.retry_s + 1

    in_virtual_time(body)


def test_a_slow_catalog_costs_a_bounded_wait() -> None:
    async def body() -> None:
        source = Source("a")
        source.takes_s = 60.0
        made = catalog(source)
        began = asyncio.get_running_loop().time()
        with pytest.raises(CatalogUnavailable):
            await made.get_many(["a"])
        assert asyncio.get_running_loop().time() - began == LIMITS.patience_s
        await made.close()

    in_virtual_time(body)


def test_that_there_is_no_such_product_is_believed_for_a_short_time() -> None:
    async def body() -> None:
        source = Source()
        made = catalog(source)
        assert await made.get_many(["new"]) == {"new": None}
        assert await made.get_many(["new"]) == {"new": None}
        assert len(source.asked) == 1
        source.titles["new"] = ""
        await asyncio.sleep(LIMITS.negative_s + 1)
        assert await made.get_many(["new"]) == {"new": product("new")}

    in_virtual_time(body)


def test_a_second_process_finds_what_the_first_has_learned() -> None:
    async def body() -> None:
        source, shared = Source("a"), MemorySharedProducts()
        await catalog(source, shared).get_many(["a", "no"])
        assert await catalog(source, shared).get_many(["a", "no"]) == {"a": product("a"), "no": None}
        assert len(source.asked) == 1

    in_virtual_time(body)


def test_without_redis_everything_is_the_same_but_the_number_of_calls() -> None:
    """DESIGN.md's outage table: Redis down, nothing is seen of it."""

    async def body() -> None:
        source, shared = Source("a"), MemorySharedProducts()
        shared.down = True
        for _ in range(2):
            assert await catalog(source, shared).get_many(["a", "no"]) == {"a": product("a"), "no": None}
        assert len(source.asked) == 2

    in_virtual_time(body)


def test_a_title_that_only_redis_knows_is_shown_while_the_catalog_is_away() -> None:
    async def body() -> None:
        source, shared = Source("a"), MemorySharedProducts()
        await catalog(source, shared).get_many(["a"])
        source.down = True
        await asyncio.sleep(3_600)
        assert await catalog(source, shared).get_many(["a"]) == {"a": product("a")}

    in_virtual_time(body)


def test_an_update_is_heard_at_once_and_the_rest_is_asked_for() -> None:
    """R-EVT-3: the event names what has changed, not all there is."""

    async def body() -> None:
        source, shared = Source("a"), MemorySharedProducts()
        made = catalog(source, shared)
        await made.get_many(["a"])
        generation = made.generation
        update = ProductUpdate(product_id="a", updated_at=1_500, title="a II")
        await shared.apply(update)
        made.hear(update)
        assert made.peek("a") == Product(product_id="a", title="a II", updated_at=1_500)
        assert made.generation > generation
        source.titles["a"], source.as_of = " II", 2_000
        await asyncio.sleep(LIMITS.retry_s + 0.1)
        made.peek("a")
        await asyncio.sleep(1)
        assert len(source.asked) == 2

    in_virtual_time(body)


def test_an_older_update_changes_nothing_whatever_the_order() -> None:
    async def body() -> None:
        source = Source("a")
        made = catalog(source)
        await made.get_many(["a"])
        made.hear(ProductUpdate(product_id="a", updated_at=3_000, title="third"))
        made.hear(ProductUpdate(product_id="a", updated_at=2_000, title="second"))
        made.hear(ProductUpdate(product_id="a", updated_at=999, title="before it was fetched"))
        assert made.peek("a") == Product(product_id="a", title="third", updated_at=3_000)

    in_virtual_time(body)


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_fetch_that_an_update_overtook_does_not_bring_the_old_title_back(is_shared: bool) -> None:
    """It began before the update and ends after it, in this process and in what is shared."""

    async def body() -> None:
        source, shared = Source("a"), MemorySharedProducts()
        made = catalog(source, shared if is_shared else None)
        asking = asyncio.ensure_future(made.get_many(["a"]))
        await asyncio.sleep(0.005)
        update = ProductUpdate(product_id="a", updated_at=1_500, title="a II")
        await shared.apply(update)
        made.hear(update)
        source.titles["a"], source.as_of = " II", 2_000
        await asking
        await asyncio.sleep(LIMITS.retry_s + 0.1)
        made.peek("a")
        await asyncio.sleep(0.1)
        assert made.peek("a") == product("a", " II")
        if is_shared:
            assert (await shared.read(["a"]))["a"].product == product("a", " II")

    in_virtual_time(body)


def test_the_memory_is_bounded() -> None:
    async def body() -> None:
        names = [f"n{number}" for number in range(1_500)]
        made = catalog(Source(*names))
        assert len(await made.get_many(names)) == 1_500
        assert sum(made.peek(name) is not None for name in names) == LIMITS.max_products

    in_virtual_time(body)
