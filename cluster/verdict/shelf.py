"""What one user was told of the library beside play: what is owned, what the user made of it, and the categories.

Whoever changes a user's library does one thing after the other, so that what was acknowledged last is what every later
read must show (promise 5) and what the tables must hold in the end. What was sent and never answered is not believed
either way. Methods that take an answer yield what is wrong with it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field

from actors.domain.ids import CategoryId, ItemId, ProductId


class Kept(Struct, frozen=True):
    """What the user made of an item."""

    is_hidden: bool = False
    user_rating: int | None = None
    category_ids: tuple[CategoryId, ...] = ()


class SeenItem(Struct, frozen=True, kw_only=True):
    """An item as a listing shows it."""

    item_id: ItemId
    product_id: ProductId
    kept: Kept


class Shelf(Struct, kw_only=True, eq=False):
    """``kept`` and ``categories`` (with their names) are what was acknowledged; ``gone`` are deleted categories.

    ``changes`` counts what was wanted of each item, so often its change may be told; ``categories_wanted`` likewise.
    ``owned`` says whether a product will be in the library when all that was sent has arrived; it is in ``arrived`` as
    soon as an answer has shown it so.
    """

    kept: dict[ItemId, Kept] = field(default_factory=dict)
    categories: dict[CategoryId, str] = field(default_factory=dict)
    gone: set[CategoryId] = field(default_factory=set)
    changes: Counter[ItemId] = field(default_factory=Counter)
    categories_wanted: int = 0
    owned: dict[ProductId, bool] = field(default_factory=dict)
    arrived: set[ProductId] = field(default_factory=set)
    item_ids: dict[ProductId, ItemId] = field(default_factory=dict)

    def change_sent(self, item_id: ItemId) -> None:
        """Its outcome is unknown until ``changed``."""
        self.changes[item_id] += 1
        self.kept.pop(item_id, None)

    def changed(self, item_id: ItemId, kept: Kept) -> None:
        self.kept[item_id] = kept

    def category_sent(self) -> None:
        self.categories_wanted += 1

    def category_named(self, category_id: CategoryId, name: str) -> None:
        """A new one, or a new name of one."""
        self.categories[category_id] = name

    def deletion_sent(self, category_id: CategoryId) -> None:
        """Its outcome, and that for its items, is unknown until ``category_deleted``."""
        self.categories.pop(category_id, None)
        for item_id in self.changes:
            self.changes[item_id] += 1

    def deletion_unanswered(self, category_id: CategoryId) -> None:
        for item_id in [item_id for item_id, kept in self.kept.items() if category_id in kept.category_ids]:
            del self.kept[item_id]

    def category_deleted(self, category_id: CategoryId) -> None:
        """It has left its items."""
        self.gone.add(category_id)
        for item_id, kept in self.kept.items():
            rest = tuple(one for one in kept.category_ids if one != category_id)
            if rest != kept.category_ids:
                self.kept[item_id] = Kept(kept.is_hidden, kept.user_rating, rest)

    def will_own(self, product_id: ProductId, owned: bool) -> None:
        """A ground or a refund is on its way, after which the product is owned or not."""
        self.owned[product_id] = owned
        self.arrived.discard(product_id)

    def saw_access(self, product_id: ProductId, has_access: bool) -> Iterator[str]:
        """Whether the user may play: never again what it was before, once it was as it will be."""
        expected = self.owned.get(product_id, False)
        if expected != has_access and (product_id in self.arrived or product_id not in self.owned):
            yield "access is granted that nobody gave" if has_access else "access is denied that was acknowledged"
        elif expected == has_access and product_id in self.owned:
            self.arrived.add(product_id)

    def saw_item(self, item_id: ItemId, shown: Kept) -> Iterator[str]:
        expected = self.kept.get(item_id)
        if expected is not None and expected != shown:
            yield "a read does not show an acknowledged change of an item"
        if self.gone & set(shown.category_ids):
            yield "an item is in a category that was deleted"

    def saw_items(self, items: Iterable[SeenItem]) -> Iterator[str]:
        """The whole library was listed, hidden items too."""
        shown = set()
        for item in items:
            shown.add(item.product_id)
            if item.item_id not in self.changes:
                self.kept.setdefault(item.item_id, Kept())
            yield from self.saw_item(item.item_id, item.kept)
            if self.item_ids.setdefault(item.product_id, item.item_id) != item.item_id:
                yield "a product's item is another one than before"
        for product_id in self.arrived:
            if (product_id in shown) != self.owned[product_id]:
                yield "a read lacks an item that was acknowledged" if self.owned[product_id] else "a refund is undone"
        self.arrived |= {product_id for product_id, owned in self.owned.items() if owned == (product_id in shown)}

    def saw_categories(self, shown: Mapping[CategoryId, str]) -> Iterator[str]:
        """All categories were listed, by someone who knows the outcome of all that was sent."""
        if shown != self.categories:
            yield "a read does not show the categories that were acknowledged"
