"""The library in the end: what users were told of it, against the tables and the events (R-LIB-2, R-LIB-3, R-LIB-5)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from actors.domain.ids import UserId, format_id
from cluster.verdict.found import FoundCategory, FoundItem
from cluster.verdict.history import History
from cluster.verdict.shelf import Kept

UPDATED = "library.item.updated.v1"
USERS_OWN = frozenset(Kept.__struct_fields__)
"""What of an item only its user changes, as events name it."""

Events = Mapping[str, Sequence[dict[str, Any]]]
"""By user, in order, each once."""


def library_problems(
    history: History, items: Sequence[FoundItem], categories: Sequence[FoundCategory]
) -> Iterator[str]:
    """Each ground gave one item, each acknowledged change is there, nothing is there twice; the last listing shows what
    the tables hold."""
    if sorted(item.product_id for item in items) != sorted(history.products):
        yield f"{history.name}: bought {len(history.products)} products, owns {len(items)} items"
    totals = {item.product_id: item.total_playtime_s for item in items}
    if history.final_totals is not None and history.final_totals != totals:
        yield f"{history.name}: totals are answered that are not those of the table"
    owned = {item.item_id: item for item in items}
    for item_id, kept in history.shelf.kept.items():
        item = owned.get(item_id)
        if item is not None and item.shown != _worded(kept):
            yield f"an acknowledged change of an item is lost: {format_id(item_id)} of {history.name}"
    gone = {format_id(category_id) for category_id in history.shelf.gone}
    for item in items:
        if item.shown is not None and gone & set(item.shown["category_ids"]):
            yield f"an item is in a category that was deleted: {format_id(item.item_id)} of {history.name}"
    yield from _categories(history, categories)


def update_problems(items: Sequence[FoundItem], events: Events, histories: Mapping[UserId, History]) -> Iterator[str]:
    """What a listener who applies every change in order believes of an item is what the table holds, and no change was
    told more often than it was wanted."""
    believed: dict[str, dict[str, Any]] = {}
    told: dict[str, int] = {}
    for event in (event for one in events.values() for event in one if event["type"] == UPDATED):
        changes = event["data"]["changes"]
        believed.setdefault(event["subject"], {}).update(changes)
        told[event["subject"]] = told.get(event["subject"], 0) + (not USERS_OWN.isdisjoint(changes))
    for item in items:
        name = format_id(item.item_id)
        if item.shown is not None:
            known = _worded(Kept()) | believed.get(name, {})
            if any(known[field] != value for field, value in item.shown.items()):
                yield f"an item's changes and their events differ: {name}"
        history = histories.get(item.user_id)
        if history is not None and told.get(name, 0) > history.shelf.changes[item.item_id]:
            yield f"an item's change was told more often than it was wanted: {name}"


def _categories(history: History, found: Sequence[FoundCategory]) -> Iterator[str]:
    shelf = history.shelf
    names = {category.category_id: category.name for category in found}
    for category_id, name in shelf.categories.items():
        if names.get(category_id) != name:
            lost = "is lost" if category_id not in names else "has another name"
            yield f"an acknowledged category {lost}: {format_id(category_id)} of {history.name}"
    if back := shelf.gone & names.keys():
        yield f"{history.name}: {len(back)} deleted categories are there"
    if len(names) + len(shelf.gone - names.keys()) > shelf.categories_wanted:
        yield f"{history.name}: wanted {shelf.categories_wanted} categories, more were made"


def _worded(kept: Kept) -> dict[str, Any]:
    return {
        "is_hidden": kept.is_hidden,
        "user_rating": kept.user_rating,
        "category_ids": [format_id(category_id) for category_id in kept.category_ids],
    }
