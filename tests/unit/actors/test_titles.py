"""Titles in a host's memory: asked for outside the batch, remembered, bounded in time (R-LIB-4, R-LIB-8)."""

import asyncio
from collections.abc import Collection, Mapping

import pytest
from msgspec.structs import replace

from actors.catalog import Product
from actors.domain.commands import ListItems
from actors.domain.ids import ItemId, Micros, ProductId, format_id
from actors.domain.listing import UNKNOWN, list_items
from actors.domain.model import LibraryItem
from actors.titles import ASK_AGAIN_FOR_NONE_S, ASK_AGAIN_S, CatalogTitles
from tests.memory import MemoryCatalog
from tests.support.actor import an_id


class Place:
    """A catalog of products 1 to 300, and a clock that moves when told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.catalog = MemoryCatalog(*(product(number) for number in range(1, 301)))
        self.titles = CatalogTitles(self.catalog, lambda: self.now)

    def names(self, items: Mapping[ProductId, LibraryItem]) -> list[str | None]:
        shelf, _ = self.titles.shelf(items)
        return [one.title for one in list_items(shelf, {}, ListItems(limit=100)).items]


def product(number: int, title: str | None = None, updated_at: int = 1) -> Product:
    name = title or f"Title {1000 - number}"
    return Product(product_id=format_id(an_id(number)), title=name, updated_at=updated_at)


def items_of(*numbers: int) -> dict[ProductId, LibraryItem]:
    return {
        ProductId(an_id(number)): LibraryItem(
            ItemId(an_id(10_000 + number)), ProductId(an_id(number)), Micros(number), "purchase"
        )
        for number in numbers
    }


@pytest.fixture
def place() -> Place:
    return Place()


async def test_what_nobody_knows_is_missing_until_it_was_asked_for(place: Place) -> None:
    """R-LIB-4: asked once, for all of it."""
    items = items_of(1, 2, 999)
    shelf, missing = place.titles.shelf(items)
    assert set(missing) == set(items)
    assert place.titles.card(ProductId(an_id(1))) is None
    await place.titles.learn(missing)
    shelf, missing = place.titles.shelf(items)
    assert not missing
    assert [one.title for one in list_items(shelf, {}, ListItems()).items] == ["Title 998", "Title 999", None]
    assert place.titles.card(ProductId(an_id(999))) is UNKNOWN
    assert len(place.catalog.asked) == 1


async def test_a_catalog_that_is_away_is_asked_again_later_and_what_is_known_stays(place: Place) -> None:
    """R-LIB-4: a stale title beats none; a page does not wait twice for the same."""
    await place.titles.learn(items_of(1))
    place.catalog.down = True
    items = items_of(1, 2)
    await place.titles.learn(place.titles.shelf(items)[1])
    assert place.names(items) == ["Title 999", None]
    assert not place.titles.shelf(items)[1]
    place.now += ASK_AGAIN_S
    assert set(place.titles.shelf(items)[1]) == {an_id(2)}
    place.catalog.down = False
    await place.titles.learn(place.titles.shelf(items)[1])
    assert place.names(items) == ["Title 998", "Title 999"]


async def test_a_product_that_does_not_exist_is_not_asked_for_all_the_time(place: Place) -> None:
    """Promise 6"""
    items = items_of(999)
    await place.titles.learn(items)
    place.now += ASK_AGAIN_S
    assert not place.titles.shelf(items)[1]
    place.now += ASK_AGAIN_FOR_NONE_S
    assert place.titles.shelf(items)[1]


async def test_a_slow_catalog_is_not_waited_for(place: Place) -> None:
    """R-LIB-8: the page comes without the titles."""

    class Slow(MemoryCatalog):
        async def get_many(self, product_ids: Collection[str]) -> Mapping[str, Product | None]:
            await asyncio.Event().wait()
            return {}

    titles = CatalogTitles(Slow(), lambda: 1.0)
    async with asyncio.timeout(5):
        await titles.learn(items_of(1))
    assert titles.card(ProductId(an_id(1))) is UNKNOWN


@pytest.mark.parametrize("size", [3, 300])
async def test_an_update_of_the_catalog_shows_at_once(place: Place, size: int) -> None:
    """R-LIB-4: in libraries whose order is remembered, too."""
    items = items_of(*range(1, size + 1))
    await place.titles.learn(items)
    assert place.names(items)[-1] == place.names(items)[-1] != "ААА"
    place.catalog.update(product(2, "000 first", updated_at=2))
    assert place.names(items)[0] == "000 first"
    place.catalog.update(product(2, "old", updated_at=1))
    assert place.names(items)[0] == "000 first"


async def test_a_large_library_is_put_in_order_once(place: Place) -> None:
    """LIB: P95 under 20 ms for 5,000 items. A change of items keeps the order of titles, a new product does not."""
    items = items_of(*range(1, 201))
    await place.titles.learn(items)
    shelf, _ = place.titles.shelf(items)
    names = shelf.names()
    assert place.titles.shelf(items)[0] is shelf
    place.catalog.update(product(250, "elsewhere", updated_at=2))
    await place.titles.learn(items_of(250))
    assert place.titles.shelf(items)[0].names() is names
    changed = {**items, ProductId(an_id(1)): replace(items[ProductId(an_id(1))], is_hidden=True)}
    again, _ = place.titles.shelf(changed)
    assert again is not shelf
    assert again.names() is names
    assert again.items[ProductId(an_id(1))].is_hidden
    more, _ = place.titles.shelf({**changed, **items_of(250)})
    assert len(more.names()) == 201
