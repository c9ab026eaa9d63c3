"""The judge of a library, fed with histories in which something is lost, doubled, undone or told wrongly."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from actors.domain.ids import CategoryId, ItemId, ProductId, UserId, format_id
from cluster.verdict.checker import ADDED, REMOVED, violations
from cluster.verdict.found import Found, FoundCategory, FoundItem
from cluster.verdict.history import History
from cluster.verdict.library import UPDATED
from cluster.verdict.shelf import Kept, SeenItem, Shelf

USER = UserId(b"u" * 16)
PRODUCT, REFUNDED = ProductId(b"p" * 16), ProductId(b"r" * 16)
ITEM, OTHER_ITEM = ItemId(b"i" * 16), ItemId(b"o" * 16)
BEST, WORST = CategoryId(b"b" * 16), CategoryId(b"w" * 16)
SHOWN = {"is_hidden": True, "user_rating": 5, "category_ids": [format_id(BEST)]}


def event(number: int, kind: str, subject: bytes, **data: Any) -> bytes:
    return json.dumps({
        "id": f"event-{number}",
        "type": kind,
        "subject": format_id(subject),
        "partitionkey": format_id(USER),
        "data": data,
    }).encode()  # fmt: skip


def curated() -> tuple[History, Found]:
    """One game is hidden, rated, and in two categories, of which one is deleted; another was refunded."""
    history = History(user_id=USER, name="user 0", now=lambda: 0.0, products=[PRODUCT])
    shelf = history.shelf
    for category, name in ((BEST, "best"), (WORST, "worst")):
        shelf.category_sent()
        shelf.category_named(category, name)
    shelf.change_sent(ITEM)
    shelf.changed(ITEM, Kept(is_hidden=True, user_rating=5, category_ids=(BEST, WORST)))
    shelf.deletion_sent(WORST)
    shelf.category_deleted(WORST)
    for product, owned in ((PRODUCT, True), (REFUNDED, True), (REFUNDED, False)):
        shelf.will_own(product, owned)
        history.all_wrong(shelf.saw_access(product, owned))
    found = Found(
        items=[FoundItem(item_id=ITEM, user_id=USER, product_id=PRODUCT, total_playtime_s=0, shown=SHOWN)],
        sessions=[],
        events=[
            event(1, ADDED, ITEM),
            event(2, UPDATED, ITEM, changes={**SHOWN, "category_ids": [format_id(BEST), format_id(WORST)]}),
            event(3, UPDATED, ITEM, changes={"category_ids": [format_id(BEST)]}),
            event(4, ADDED, OTHER_ITEM),
            event(5, REMOVED, OTHER_ITEM),
        ],
        left=[],
        dead_letters=0,
        categories=[FoundCategory(category_id=BEST, user_id=USER, name="best")],
    )
    return history, found


def test_a_library_that_is_kept_is_not_blamed() -> None:
    history, found = curated()
    assert violations([history], found) == []


def shown(found: Found, **changed: Any) -> dict[str, Any]:
    """The table shows something else, and so do the events."""
    whole = {**SHOWN, **changed}
    told = event(2, UPDATED, ITEM, changes=whole)
    return {"items": [replace(found.items[0], shown=whole)], "events": [found.events[0], told, *found.events[3:]]}


def category(category_id: CategoryId, name: str) -> FoundCategory:
    return FoundCategory(category_id=category_id, user_id=USER, name=name)


BROKEN: dict[str, Callable[[Found], dict[str, Any]]] = {
    "an acknowledged change of an item is lost": lambda f: shown(f, is_hidden=False),
    "an item is in a category that was deleted": lambda f: shown(f, category_ids=[format_id(BEST), format_id(WORST)]),
    "an item's changes and their events differ": lambda f: {"events": [*f.events[:1], *f.events[2:]]},
    "told more often than it was wanted": lambda f: {"events": [*f.events, event(9, UPDATED, ITEM, changes=SHOWN)]},
    "an acknowledged category is lost": lambda _: {"categories": []},
    "an acknowledged category has another name": lambda _: {"categories": [category(BEST, "good")]},
    "1 deleted categories are there": lambda f: {"categories": [*f.categories, category(WORST, "worst")]},
    "wanted 2 categories, more were made": lambda f: {
        "categories": [*f.categories, category(CategoryId(b"x" * 16), "best (2)")]
    },
    "bought 1 products, owns 2 items": lambda f: {
        "items": [*f.items, replace(f.items[0], item_id=OTHER_ITEM, product_id=REFUNDED)]
    },
    "an item was taken back before it was there": lambda f: {"events": [*f.events[:3], f.events[4], f.events[3]]},
    "a change has no event": lambda f: {"events": [*f.events[1:3], *f.events[3:]]},
}


@pytest.mark.parametrize("named", BROKEN)
def test_what_is_lost_doubled_or_undone_is_named(named: str) -> None:
    """Promises 1 and 2, R-LIB-2, R-LIB-3, R-LIB-5, R-EVT-2: each broken once."""
    history, found = curated()
    wrong = violations([history], replace(found, **BROKEN[named](found)))
    assert any(named in one for one in wrong), wrong


def seen(item_id: ItemId = ITEM, product_id: ProductId = PRODUCT, **kept: Any) -> SeenItem:
    return SeenItem(item_id=item_id, product_id=product_id, kept=Kept(**{"is_hidden": True, "user_rating": 5, **kept}))


CONTRADICTIONS: dict[str, Callable[[Shelf], Iterable[str]]] = {
    "does not show an acknowledged change": lambda s: s.saw_item(ITEM, Kept()),
    "in a category that was deleted": lambda s: s.saw_item(OTHER_ITEM, Kept(category_ids=(WORST,))),
    "does not show the categories": lambda s: s.saw_categories({BEST: "best", WORST: "worst"}),
    "lacks an item that was acknowledged": lambda s: s.saw_items([]),
    "a refund is undone": lambda s: s.saw_items([seen(category_ids=(BEST,)), seen(OTHER_ITEM, REFUNDED)]),
    "item is another one than before": lambda s: [
        *s.saw_items([seen(category_ids=(BEST,))]),
        *s.saw_items([seen(OTHER_ITEM, category_ids=(BEST,))]),
    ],
    "access is denied that was acknowledged": lambda s: s.saw_access(PRODUCT, False),
    "access is granted that nobody gave": lambda s: s.saw_access(REFUNDED, True),
    "granted that nobody gave": lambda s: s.saw_access(ProductId(b"?" * 16), True),
}  # fmt: skip


@pytest.mark.parametrize("named", CONTRADICTIONS)
def test_an_answer_that_is_older_than_an_acknowledged_change_is_named(named: str) -> None:
    """Promise 5, R-RPC-1: at the moment it is given."""
    history, _ = curated()
    assert history.violations == []
    wrong = list(CONTRADICTIONS[named](history.shelf))
    assert any(named in one for one in wrong), wrong


def test_an_answer_while_something_is_on_its_way_may_show_either() -> None:
    history, _ = curated()
    shelf = history.shelf
    shelf.will_own(REFUNDED, True)
    shelf.change_sent(ITEM)
    for has_access in (False, True):
        assert not [*shelf.saw_access(REFUNDED, has_access), *shelf.saw_item(ITEM, Kept(is_hidden=has_access))]
    assert [*shelf.saw_access(REFUNDED, False)]
