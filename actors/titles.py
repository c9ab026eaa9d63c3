"""Products' titles in a host's memory, as the rules ask for them: without waiting (R-LIB-4, R-LIB-8).

What is missing is asked of the catalog outside the batch, with a short deadline (``Loading``); what could not be
learned has no title for a while. Orders of large libraries are remembered by the user's items and the catalog's
generation, so that a page of thousands of items costs a pass, not a sort.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence

from actors.catalog import CatalogUnavailable, Product
from actors.domain.ids import ItemId, ProductId, format_id
from actors.domain.listing import UNKNOWN, Card, Shelf, card_of
from actors.domain.model import LibraryItem
from actors.ports import Catalog

ASK_S = 0.3
"""How long a page waits for titles that nobody knows yet."""
ASK_AGAIN_S = 5.0
ASK_AGAIN_FOR_NONE_S = 300.0
"""After the catalog said that there is no such product."""
MAX_PRODUCTS = 500_000
MAX_SHELVED_ITEMS = 500_000
SMALL = 100
"""Libraries up to this size are put in order each time: remembering them costs more."""

_NOTHING: frozenset[ProductId] = frozenset()


class _Known:
    """``text`` is the product's id as the catalog writes it, ``card`` made of ``product``."""

    __slots__ = ("ask_at", "card", "product", "text")

    def __init__(self, product_id: ProductId) -> None:
        self.text = format_id(product_id)
        self.product: Product | None = None
        self.card = UNKNOWN
        self.ask_at = 0.0


class _Shelved:
    __slots__ = ("generation", "good_until", "items", "shelf")

    def __init__(
        self, items: Mapping[ProductId, LibraryItem], generation: int, good_until: float, shelf: Shelf
    ) -> None:
        self.items = items
        self.generation = generation
        self.good_until = good_until
        self.shelf = shelf


class CatalogTitles:
    """``actors.domain.context.Titles`` over the catalog. Bounded: by products known and by items in order."""

    def __init__(self, catalog: Catalog, loop_time: Callable[[], float]) -> None:
        self._catalog = catalog
        self._loop_time = loop_time
        self._known: dict[ProductId, _Known] = {}
        self._shelved: OrderedDict[ItemId, _Shelved] = OrderedDict()
        self._shelved_items = 0

    def card(self, product_id: ProductId) -> Card | None:
        known = self._refreshed(product_id)
        if known.product is None and self._loop_time() >= known.ask_at:
            return None
        return known.card

    def shelf(self, items: Mapping[ProductId, LibraryItem]) -> tuple[Shelf, Collection[ProductId]]:
        if not items:
            return Shelf(items, {}), ()
        now, generation = self._loop_time(), self._catalog.generation
        owner = next(iter(items.values())).item_id
        former = self._shelved.get(owner)
        if former is not None and former.items is items and former.generation == generation and now < former.good_until:
            self._shelved.move_to_end(owner)
            return former.shelf, ()
        known = {product_id: self._refreshed(product_id) for product_id in items}
        cards = {product_id: one.card for product_id, one in known.items()}
        missing = {
            product_id for product_id, one in known.items() if one.product is None and now >= one.ask_at
        } or _NOTHING
        shelf = Shelf(items, cards, None if former is None else _same_names(former.shelf, cards))
        if len(items) > SMALL and not missing:
            good_until = min((one.ask_at for one in known.values() if one.product is None), default=float("inf"))
            self._remember(owner, _Shelved(items, generation, good_until, shelf))
        return shelf, missing

    async def learn(self, products: Collection[ProductId]) -> None:
        """Asks the catalog; returns when it answered or could not in time. Never raises for that."""
        known = {product_id: self._entry(product_id) for product_id in products}
        answer: Mapping[str, Product | None] = {}
        try:
            async with asyncio.timeout(ASK_S):
                answer = await self._catalog.get_many([one.text for one in known.values()])
        except (CatalogUnavailable, TimeoutError):
            pass
        now = self._loop_time()
        for one in known.values():
            product = answer.get(one.text)
            is_none = product is None and one.text in answer
            one.ask_at = now + (ASK_AGAIN_FOR_NONE_S if is_none else ASK_AGAIN_S)
            if product is not None:
                self._take(one, product)

    def _refreshed(self, product_id: ProductId) -> _Known:
        known = self._entry(product_id)
        product = self._catalog.peek(known.text)
        if product is not None and product is not known.product:
            self._take(known, product)
        return known

    def _entry(self, product_id: ProductId) -> _Known:
        known = self._known.get(product_id)
        if known is None:
            if len(self._known) >= MAX_PRODUCTS:
                self._known.clear()
            known = self._known[product_id] = _Known(product_id)
        return known

    @staticmethod
    def _take(known: _Known, product: Product) -> None:
        """A card stays the same object while it says the same: orders made of it stay good."""
        card = card_of(product.title, product.cover_image_url)
        known.product = product
        if card != known.card:
            known.card = card

    def _remember(self, owner: ItemId, shelved: _Shelved) -> None:
        former = self._shelved.pop(owner, None)
        self._shelved[owner] = shelved
        self._shelved_items += len(shelved.items) - (0 if former is None else len(former.items))
        while self._shelved_items > MAX_SHELVED_ITEMS:
            _, oldest = self._shelved.popitem(last=False)
            self._shelved_items -= len(oldest.items)


def _same_names(former: Shelf, cards: Mapping[ProductId, Card]) -> Sequence[ProductId] | None:
    """The order of titles, if it is known and the products and their titles are what they were."""
    return former.known_names if former.cards == cards else None
