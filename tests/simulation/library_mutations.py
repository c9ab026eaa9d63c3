"""Rules of the library broken on purpose, one at a time (see ``mutations``)."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

from actors.domain import acquisitions, categories, listing
from actors.domain.events import CategoryDeleted, ItemRemoved
from actors.domain.library import library_of
from actors.domain.model import PurchaseKey


def _a_refund_leaves_no_tombstone() -> list[Any]:
    original = acquisitions.decide_refund

    def decide_refund(user: Any, command: Any, context: Any) -> Any:
        known = library_of(user).acquisitions
        products = tuple(one for one in command.product_ids if PurchaseKey(command.order_id, one) in known)
        return original(user, replace(command, product_ids=products), context)

    return [patch.object(acquisitions, "decide_refund", decide_refund)]


def _a_refund_is_applied_twice() -> list[Any]:
    """It takes away what another order gave since."""
    original = acquisitions.decide_refund

    def decide_refund(user: Any, command: Any, context: Any) -> Any:
        events, answer = original(user, command, context)
        if events:
            return events, answer
        items = library_of(user).items
        there = [items[product_id] for product_id in command.product_ids if product_id in items]
        again = [
            ItemRemoved(one.item_id, one.product_id, context.now, command.order_id, "purchase", False) for one in there
        ]
        return again, answer

    return [patch.object(acquisitions, "decide_refund", decide_refund)]


def _a_deleted_category_stays_on_its_items() -> list[Any]:
    original = categories.decide_delete

    def decide_delete(user: Any, command: Any, context: Any) -> Any:
        events, answer = original(user, command, context)
        return [event for event in events if isinstance(event, CategoryDeleted)], answer

    return [patch.object(categories, "decide_delete", decide_delete)]


def _changes_lack_what_was_removed() -> list[Any]:
    original = listing._changes

    def changes(shelf: Any, _removed: Any, query: Any, since: Any, changed_at: Any) -> Any:
        return original(shelf, {}, query, since, changed_at)

    return [patch.object(listing, "_changes", changes)]


LIBRARY_MUTATIONS: dict[str, Callable[[], list[Any]]] = {
    "a refund leaves no tombstone": _a_refund_leaves_no_tombstone,
    "a refund is applied twice": _a_refund_is_applied_twice,
    "a deleted category stays on its items": _a_deleted_category_stays_on_its_items,
    "changes lack what was removed": _changes_lack_what_was_removed,
}
