"""The same of items and categories."""

import msgspec

from actors.domain.ids import CategoryId, ItemId, ProductId, parse_id
from cluster.replay.service import Answer
from cluster.verdict.shelf import Kept, SeenItem


class _Reference(msgspec.Struct):
    id: str


class _References(msgspec.Struct):
    data: list[_Reference]


class _Relationships(msgspec.Struct):
    categories: _References


class _ItemAttributes(msgspec.Struct):
    product_id: str
    total_playtime_seconds: int
    is_hidden: bool
    user_rating: int | None = None


class _Item(msgspec.Struct):
    id: str
    attributes: _ItemAttributes
    relationships: _Relationships

    @property
    def seen(self) -> SeenItem:
        categories = tuple(CategoryId(parse_id(one.id)) for one in self.relationships.categories.data)
        said = self.attributes
        return SeenItem(
            item_id=ItemId(parse_id(self.id)),
            product_id=ProductId(parse_id(said.product_id)),
            kept=Kept(said.is_hidden, said.user_rating, categories),
        )


class _Meta(msgspec.Struct):
    stale_since: str | None = None


class _Items(msgspec.Struct):
    data: list[_Item]
    meta: _Meta = msgspec.field(default_factory=_Meta)


class _OneItem(msgspec.Struct):
    data: _Item


class _Error(msgspec.Struct):
    code: str


class _Change(msgspec.Struct):
    id: str
    attributes: _ItemAttributes | None = None
    relationships: _Relationships | None = None
    error: _Error | None = None


class _Changes(msgspec.Struct):
    data: list[_Change]


class _CategoryAttributes(msgspec.Struct):
    name: str


class _Category(msgspec.Struct):
    id: str
    attributes: _CategoryAttributes


class _OneCategory(msgspec.Struct):
    data: _Category


class _Categories(msgspec.Struct):
    data: list[_Category]


class Page(msgspec.Struct, frozen=True):
    """A whole library."""

    items: list[SeenItem]
    totals: dict[ProductId, int]


_items = msgspec.json.Decoder(_Items)
_item = msgspec.json.Decoder(_OneItem)
_changes = msgspec.json.Decoder(_Changes)
_category = msgspec.json.Decoder(_OneCategory)
_categories = msgspec.json.Decoder(_Categories)


def library_of(answer: Answer) -> Page | None:
    """None if the page says of itself that it is stale: then it may lack what was acknowledged (promise 5)."""
    page = _items.decode(answer.body)
    if page.meta.stale_since is not None:
        return None
    items = [item.seen for item in page.data]
    seconds = (item.attributes.total_playtime_seconds for item in page.data)
    return Page(items, dict(zip((item.product_id for item in items), seconds, strict=True)))


def item_of(answer: Answer) -> SeenItem:
    return _item.decode(answer.body).data.seen


def changes_of(answer: Answer) -> list[SeenItem | str]:
    """Of each change the item as it is now, or the error's code."""
    return [_outcome(change) for change in _changes.decode(answer.body).data]


def _outcome(change: _Change) -> SeenItem | str:
    if change.attributes is not None and change.relationships is not None:
        return _Item(change.id, change.attributes, change.relationships).seen
    if change.error is None:
        raise ValueError("a change without an item or an error")
    return change.error.code


def category_of(answer: Answer) -> tuple[CategoryId, str]:
    return _named(_category.decode(answer.body).data)


def categories_of(answer: Answer) -> dict[CategoryId, str]:
    return dict(map(_named, _categories.decode(answer.body).data))


def _named(category: _Category) -> tuple[CategoryId, str]:
    return CategoryId(parse_id(category.id)), category.attributes.name
