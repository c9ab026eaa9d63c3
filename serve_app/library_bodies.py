"""Bodies of changes to the library and of categories (R-LIB-2, R-LIB-3, R-LIB-5, R-LIB-9); items themselves stand in
``bodies``."""

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from actors.domain.ids import format_id, format_time
from actors.domain.model import Category as CategoryState
from actors.domain.replies import OneItem
from serve_app.bodies import ItemAttributes, ItemRelationships, Rating, SelfLink, Time, Uuid, item_body
from serve_app.errors import ErrorObject

MAX_CHANGES = 100
MAX_CATEGORIES = 1_000
"""More than anybody may have: the rules say how many."""

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=r"^(?=[\s\S]*\S)(?![\s\S]*[\x00-\x1f\x7f-\x9f])",
        description="White space around it is taken off, control characters are none; unique without regard to case",
    ),
]


class ItemUpdateAttributes(Struct, frozen=True, forbid_unknown_fields=True):
    """What is absent stays as it is."""

    is_hidden: bool | UnsetType = UNSET
    category_ids: Annotated[list[Uuid], Meta(max_length=MAX_CATEGORIES, description="Replaces the set")] | UnsetType = (
        UNSET
    )
    user_rating: Annotated[Rating | None, Meta(description="null takes the rating away")] | UnsetType = UNSET


class ItemUpdateData(Struct, frozen=True, forbid_unknown_fields=True):
    """``id`` is the item's."""

    type: Literal["libraryItemUpdate"]
    id: Uuid
    attributes: ItemUpdateAttributes


class ItemUpdateRequest(Struct, frozen=True, forbid_unknown_fields=True):
    data: ItemUpdateData


class ItemUpdatesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    data: Annotated[list[ItemUpdateData], Meta(min_length=1, max_length=MAX_CHANGES)]


class ItemResult(Struct, frozen=True):
    """The item as it is now, or ``error`` alone."""

    type: Literal["libraryItem"]
    id: Uuid
    attributes: ItemAttributes | UnsetType = UNSET
    relationships: ItemRelationships | UnsetType = UNSET
    links: SelfLink | UnsetType = UNSET
    error: ErrorObject | UnsetType = UNSET


class ItemResults(Struct, frozen=True):
    """In the order of the request."""

    data: list[ItemResult]


class ItemCreationAttributes(Struct, frozen=True, forbid_unknown_fields=True):
    product_id: Uuid


class ItemCreationData(Struct, frozen=True, forbid_unknown_fields=True):
    type: Literal["libraryItemCreation"]
    attributes: ItemCreationAttributes


class ItemCreationRequest(Struct, frozen=True, forbid_unknown_fields=True):
    data: ItemCreationData


class CategoryNaming(Struct, frozen=True, forbid_unknown_fields=True):
    name: Name


class CategoryCreationData(Struct, frozen=True, forbid_unknown_fields=True):
    type: Literal["userCategoryCreation"]
    attributes: CategoryNaming


class CategoryCreationRequest(Struct, frozen=True, forbid_unknown_fields=True):
    data: CategoryCreationData


class CategoryUpdateData(Struct, frozen=True, forbid_unknown_fields=True):
    type: Literal["userCategoryUpdate"]
    id: Uuid
    attributes: CategoryNaming


class CategoryUpdateRequest(Struct, frozen=True, forbid_unknown_fields=True):
    data: CategoryUpdateData


class CategoryAttributes(Struct, frozen=True):
    name: str
    created_at: Time
    updated_at: Time


class Category(Struct, frozen=True):
    type: Literal["userCategory"]
    id: Uuid
    attributes: CategoryAttributes


class CategoryList(Struct, frozen=True):
    """All of them, by name."""

    data: list[Category]
    links: SelfLink


def category_body(category: CategoryState) -> Category:
    attributes = CategoryAttributes(category.name, format_time(category.created_at), format_time(category.updated_at))
    return Category("userCategory", format_id(category.category_id), attributes)


def item_result(item_id: str, result: OneItem | Sequence[ErrorObject]) -> ItemResult:
    if isinstance(result, OneItem):
        body = item_body(result)
        return ItemResult(body.type, body.id, body.attributes, body.relationships, body.links)
    return ItemResult("libraryItem", item_id, error=result[0])
