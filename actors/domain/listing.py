"""A library in order: filters, search, sorting, pages, and what changed since a moment (R-LIB-1, R-LIB-8, R-LIB-9).

Used twice: by a user's actor, over what is in memory, and by a door over a copy while the actor cannot be reached. So
``list_items`` takes plain values. A ``Shelf`` remembers orders once they were made: it is a value like its parts, and
what it answers does not depend on what was asked before.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from actors.domain.commands import ItemSort, ListItems
from actors.domain.ids import Micros, ProductId
from actors.domain.model import LibraryItem, RemovedItem
from actors.domain.replies import ItemsPage, OneItem, Removal


class Card(Struct, frozen=True, gc=False):
    """What the catalog says about a product; ``folded`` is the title as it is compared. None: never learned."""

    title: str | None = None
    cover_image_url: str | None = None
    folded: str | None = None


UNKNOWN = Card()


def folded(text: str) -> str:
    """How titles and searches are compared: without regard to case, composition, and the dots of Russian ё."""
    return unicodedata.normalize("NFKC", text).casefold().replace("ё", "е")


def card_of(title: str, cover_image_url: str | None) -> Card:
    return Card(title, cover_image_url, folded(title))


class Shelf:
    """Items with their cards. ``names`` may be their products in the order of titles, if somebody knows it already."""

    __slots__ = ("_names", "_orders", "cards", "items")

    def __init__(
        self,
        items: Mapping[ProductId, LibraryItem],
        cards: Mapping[ProductId, Card],
        names: Sequence[ProductId] | None = None,
    ) -> None:
        self.items = items
        self.cards = cards
        self._names = names
        self._orders: dict[ItemSort, list[LibraryItem]] = {}

    @property
    def known_names(self) -> Sequence[ProductId] | None:
        """``names``, if anybody has asked for them yet."""
        return self._names

    def names(self) -> Sequence[ProductId]:
        """The products in the order of titles; what has no title comes last, ties by the item's id."""
        if self._names is None:
            cards, items = self.cards, self.items

            def key(product_id: ProductId) -> tuple[bool, str, bytes]:
                title = cards.get(product_id, UNKNOWN).folded
                return (title is None, title or "", items[product_id].item_id)

            self._names = sorted(items, key=key)
        return self._names

    def in_order(self, sort_by: ItemSort) -> list[LibraryItem]:
        """All items, hidden ones too. Never played sorts last, ties by id (R-LIB-8)."""
        order = self._orders.get(sort_by)
        if order is None:
            if sort_by == "name_asc":
                order = [self.items[product_id] for product_id in self.names()]
            else:
                order = sorted(self.items.values(), key=_SORT_KEYS[sort_by])
            self._orders[sort_by] = order
        return order

    def shown(self, item: LibraryItem) -> OneItem:
        card = self.cards.get(item.product_id, UNKNOWN)
        return OneItem(item, card.title, card.cover_image_url)


def needs_every_title(query: ListItems) -> bool:
    """Whether the page depends on the titles of items that are not on it."""
    return query.search is not None or (query.sort_by == "name_asc" and query.updated_since is None)


def list_items(shelf: Shelf, removed: Mapping[ProductId, RemovedItem], query: ListItems) -> ItemsPage:
    """One page of what matches, counted from 1; what is asked for since a moment comes as ``_changes`` says."""
    changed_at = latest_change(shelf.items, removed)
    first = (query.page - 1) * query.limit
    if query.updated_since is not None:
        return _changes(shelf, removed, query, query.updated_since, changed_at)
    found = _matching(shelf, shelf.in_order(query.sort_by), query)
    return ItemsPage([shelf.shown(item) for item in found[first : first + query.limit]], len(found), changed_at)


def latest_change(items: Mapping[ProductId, LibraryItem], removed: Mapping[ProductId, RemovedItem]) -> Micros:
    """When anything of the library changed last; 0 for one that never did."""
    return Micros(
        max(
            max((item.updated_at for item in items.values()), default=0),
            max((gone.removed_at for gone in removed.values()), default=0),
        )
    )


def _changes(
    shelf: Shelf, removed: Mapping[ProductId, RemovedItem], query: ListItems, since: Micros, changed_at: Micros
) -> ItemsPage:
    """What changed at or after ``since``, newest first: an item that changes while a client turns pages moves to the
    front, where the next question finds it, and can only repeat on a later page, never be missed. An item that changed
    and does not match is a removal: it may have matched before."""
    changed = [item for item in shelf.items.values() if item.updated_at >= since]
    matching = {item.product_id for item in _matching(shelf, changed, query)}
    entries: list[tuple[Micros, bytes, LibraryItem | Removal]] = [
        (
            item.updated_at,
            item.item_id,
            item if item.product_id in matching else Removal(item.item_id, item.product_id, item.updated_at),
        )
        for item in changed
    ]
    for product_id, gone in removed.items():
        if gone.removed_at >= since:
            removal = Removal(gone.item.item_id, product_id, gone.removed_at)
            entries.append((gone.removed_at, gone.item.item_id, removal))
    entries.sort(key=lambda entry: (-entry[0], entry[1]))
    first = (query.page - 1) * query.limit
    page = [entry for _, _, entry in entries[first : first + query.limit]]
    return ItemsPage(
        [shelf.shown(entry) for entry in page if isinstance(entry, LibraryItem)],
        len(entries),
        changed_at,
        tuple(entry for entry in page if isinstance(entry, Removal)),
    )


def _matching(shelf: Shelf, items: Sequence[LibraryItem], query: ListItems) -> Sequence[LibraryItem]:
    """Those that the query's filters admit, in the order they have."""
    found: Iterable[LibraryItem] = items
    if not query.include_hidden:
        found = [item for item in found if not item.is_hidden]
    if query.status is not None:
        found = [item for item in found if item.installation_status == query.status]
    if query.acquisition_type is not None:
        found = [item for item in found if item.acquisition_type == query.acquisition_type]
    if query.category_id is not None:
        found = [item for item in found if query.category_id in item.category_ids]
    if query.search is not None:
        for word in folded(query.search).split():
            found = [item for item in found if word in (shelf.cards.get(item.product_id, UNKNOWN).folded or "")]
    return list(found)


_SORT_KEYS: dict[ItemSort, Callable[[LibraryItem], tuple[bool, int, bytes]]] = {
    "last_played_desc": lambda item: (item.last_played_at is None, -(item.last_played_at or 0), item.item_id),
    "added_desc": lambda item: (False, -item.added_at, item.item_id),
    "playtime_desc": lambda item: (False, -item.total_playtime_s, item.item_id),
}
