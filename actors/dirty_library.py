"""The dirty rows of libraries. Which table a row belongs to is seen at the flush: a product that was taken back and
came again in between is an item all the same."""

from collections.abc import Callable

from msgspec.structs import replace

from actors.domain.events import (
    AcquisitionRecorded,
    CategoryDeleted,
    CategorySaved,
    InstallationChanged,
    ItemAdded,
    ItemFellBack,
    ItemRemoved,
    ItemsPatched,
    LibraryEvent,
)
from actors.domain.ids import CategoryId, ProductId, UserId
from actors.domain.model import Category, Library, LibraryItem, PurchaseKey, RemovedItem, User
from actors.ports import FlushBatch, PurchaseRow


class DirtyLibraries:
    """Keys, whose images are taken from memory at the flush."""

    def __init__(self) -> None:
        self._items: dict[tuple[UserId, ProductId], None] = {}
        self._returned: dict[tuple[UserId, ProductId], None] = {}
        self._purchases: dict[tuple[UserId, PurchaseKey], None] = {}
        self._categories: dict[tuple[UserId, CategoryId], None] = {}

    def mark_item(self, user_id: UserId, product_id: ProductId) -> None:
        self._items[user_id, product_id] = None

    def mark(self, user_id: UserId, event: LibraryEvent) -> None:
        match event:
            case ItemAdded(item=item):
                self._items[user_id, item.product_id] = None
                self._returned[user_id, item.product_id] = None
            case InstallationChanged() | ItemRemoved() | ItemFellBack():
                self._items[user_id, event.product_id] = None
            case ItemsPatched(patches=patches):
                for patch in patches:
                    self._items[user_id, patch.product_id] = None
            case AcquisitionRecorded():
                self._purchases[user_id, PurchaseKey(event.order_id, event.product_id)] = None
            case CategorySaved(category=category):
                self._categories[user_id, category.category_id] = None
            case CategoryDeleted(category_id=category_id):
                self._categories[user_id, category_id] = None

    def follow(self, earlier: "DirtyLibraries") -> None:
        """Those of a flush that failed are dirty still."""
        self._items = {**earlier._items, **self._items}
        self._returned = {**earlier._returned, **self._returned}
        self._purchases = {**earlier._purchases, **self._purchases}
        self._categories = {**earlier._categories, **self._categories}

    def with_images(self, batch: FlushBatch, user_of: Callable[[UserId], User]) -> FlushBatch:
        """The batch with every image as it is in memory now."""
        items: list[tuple[UserId, LibraryItem]] = []
        removed: list[tuple[UserId, RemovedItem]] = []
        for user_id, product_id in self._items:
            library = _library(user_of(user_id))
            if (item := library.items.get(product_id)) is not None:
                items.append((user_id, item))
            elif (gone := library.removed.get(product_id)) is not None:
                removed.append((user_id, gone))
        categories: list[tuple[UserId, Category]] = []
        deleted: list[tuple[UserId, CategoryId]] = []
        for user_id, category_id in self._categories:
            category = _library(user_of(user_id)).categories.get(category_id)
            if category is None:
                deleted.append((user_id, category_id))
            else:
                categories.append((user_id, category))
        return replace(
            batch,
            items=items,
            removed=removed,
            returned=[key for key in self._returned if key[1] in _library(user_of(key[0])).items],
            purchases=[
                PurchaseRow(user_id, key.order_id, key.product_id, _library(user_of(user_id)).acquisitions[key])
                for user_id, key in self._purchases
            ],
            categories=categories,
            categories_deleted=deleted,
        )


def _library(user: User) -> Library:
    if user.library is None:
        raise AssertionError("a dirty library was dropped from memory")
    return user.library
