"""What the library's routes take, answer and refuse."""

from typing import Any

from serve_app.bodies import BASE, Document, Item, ItemList
from serve_app.errors import CODES
from serve_app.library_bodies import (
    Category,
    CategoryCreationRequest,
    CategoryList,
    CategoryUpdateRequest,
    ItemCreationRequest,
    ItemResults,
    ItemUpdateRequest,
    ItemUpdatesRequest,
)
from serve_app.rest.describing import FOR_POSTS, FOR_USERS, answer, json_content, route

_PRODUCT = "5f1b0a52-3c41-4c0e-9a57-0d8f3f6f2f10"
_ITEM = "0b9f7f0e-9d3c-4e51-8f6e-6b1f8f2f3c4d"
_OTHER_ITEM = "1c9f7f0e-9d3c-4e51-8f6e-6b1f8f2f3c4d"
_CATEGORY = "2d8f7f0e-9d3c-4e51-8f6e-6b1f8f2f3c4d"

_ITEM_EXAMPLE: dict[str, Any] = {
    "type": "libraryItem",
    "id": _ITEM,
    "attributes": {
        "product_id": _PRODUCT,
        "title": "Супер Игра X",
        "cover_image_url": "https://cdn.example.com/covers/game-uuid-123.jpg",
        "added_at": "2023-01-15T10:00:00Z",
        "last_played_at": "2024-03-10T18:30:00Z",
        "total_playtime_seconds": 72000,
        "installation_status": "installed",
        "is_hidden": False,
        "acquisition_type": "purchase",
        "user_rating": 5,
    },
    "relationships": {"categories": {"data": [{"type": "userCategory", "id": _CATEGORY}]}},
    "links": {"self": f"{BASE}/items/{_ITEM}"},
}
_CATEGORY_EXAMPLE = {
    "type": "userCategory",
    "id": _CATEGORY,
    "attributes": {
        "name": "Избранное",
        "created_at": "2024-03-15T18:00:00Z",
        "updated_at": "2024-03-15T18:00:00Z",
    },
}
_UPDATE_EXAMPLE = {
    "type": "libraryItemUpdate",
    "id": _ITEM,
    "attributes": {"is_hidden": False, "category_ids": [_CATEGORY], "user_rating": 5},
}
_ETAG = {
    "ETag": {"description": "Of the body; `If-None-Match` with it is answered 304", "schema": {"type": "string"}},
    "Cache-Control": {"description": "`private, no-cache`", "schema": {"type": "string"}},
}
_LOCATION = {"Location": {"description": "The item's own path", "schema": {"type": "string"}}}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of what the client has",
    "schema": {"type": "string"},
}
_NOT_MODIFIED = answer("The client has it", headers=_ETAG)


def _body(body: Any, example: object) -> dict[str, Any]:
    return {"openapi_extra": {"requestBody": {"required": True, "content": json_content(body, example)}}}


ITEM_LIST = route(
    "The user's library: filtered, searched, sorted, by pages; or what changed since a moment",
    {
        200: answer(
            "A page of items. With `updated_since`, newest change first: what changed and matches is in `data`, what "
            "left the list in `meta.removed`; take `meta.updated_until` of the first page for the next time",
            ItemList,
            {
                "data": [_ITEM_EXAMPLE],
                "meta": {
                    "total_items": 50,
                    "current_page": 1,
                    "per_page": 20,
                    "updated_until": "2024-03-15T18:00:00.000001Z",
                },
                "links": {"self": f"{BASE}/items", "next": f"{BASE}/items?page=2"},
            },
            _ETAG,
        ),
        304: _NOT_MODIFIED,
    },
    *FOR_USERS,
    openapi_extra={"parameters": [_IF_NONE_MATCH]},
)
ITEM = route(
    "One item of the user's library",
    {200: answer("The item", Document[Item], {"data": _ITEM_EXAMPLE}, _ETAG), 304: _NOT_MODIFIED},
    *FOR_USERS,
    "LIBRARY_ITEM_NOT_FOUND",
    openapi_extra={"parameters": [_IF_NONE_MATCH]},
)
ITEM_ADD = route(
    "Add a product that is free to play",
    {
        201: answer("It is in the library now", Document[Item], {"data": _ITEM_EXAMPLE}, _LOCATION),
        200: answer("It was in the library", Document[Item], {"data": _ITEM_EXAMPLE}, _LOCATION),
    },
    *FOR_POSTS,
    "UNSUPPORTED_MEDIA_TYPE",
    "PRODUCT_NOT_FOUND",
    "PERMISSION_DENIED",
    **_body(ItemCreationRequest, {"data": {"type": "libraryItemCreation", "attributes": {"product_id": _PRODUCT}}}),
)
ITEM_UPDATE = route(
    "Hide an item, rate it, put it into categories",
    {200: answer("The item as it is now", Document[Item], {"data": _ITEM_EXAMPLE})},
    *FOR_USERS,
    "UNSUPPORTED_MEDIA_TYPE",
    "LIBRARY_ITEM_NOT_FOUND",
    **_body(ItemUpdateRequest, {"data": _UPDATE_EXAMPLE}),
)
ITEM_UPDATES = route(
    "Change many items, each on its own",
    {
        200: answer(
            "One result an item, in the order of the request",
            ItemResults,
            {
                "data": [
                    _ITEM_EXAMPLE,
                    {
                        "type": "libraryItem",
                        "id": _OTHER_ITEM,
                        "error": {
                            "status": "404",
                            "code": "LIBRARY_ITEM_NOT_FOUND",
                            "title": CODES["LIBRARY_ITEM_NOT_FOUND"].ru,
                            "detail": "…",
                        },
                    },
                ]
            },
        )
    },
    *FOR_USERS,
    "UNSUPPORTED_MEDIA_TYPE",
    **_body(ItemUpdatesRequest, {"data": [_UPDATE_EXAMPLE, {**_UPDATE_EXAMPLE, "id": _OTHER_ITEM}]}),
)
ITEM_INSTALL = route(
    "Ask the Download Service to install an item; its status follows by events",
    {202: answer("The Download Service has taken the request", Document[Item], {"data": _ITEM_EXAMPLE})},
    *FOR_POSTS,
    "LIBRARY_ITEM_NOT_FOUND",
    "PERMISSION_DENIED",
)
CATEGORY_LIST = route(
    "The user's categories, by name",
    {200: answer("All of them", CategoryList, {"data": [_CATEGORY_EXAMPLE], "links": {"self": f"{BASE}/categories"}})},
    *FOR_USERS,
)
CATEGORY_CREATE = route(
    "A new category",
    {201: answer("The category", Document[Category], {"data": _CATEGORY_EXAMPLE})},
    *FOR_POSTS,
    "UNSUPPORTED_MEDIA_TYPE",
    "CATEGORY_DUPLICATE",
    "CATEGORY_LIMIT_REACHED",
    **_body(
        CategoryCreationRequest,
        {"data": {"type": "userCategoryCreation", "attributes": {"name": "Избранное"}}},
    ),
)
CATEGORY_UPDATE = route(
    "Rename a category",
    {200: answer("The category as it is now", Document[Category], {"data": _CATEGORY_EXAMPLE})},
    *FOR_USERS,
    "UNSUPPORTED_MEDIA_TYPE",
    "CATEGORY_NOT_FOUND",
    "CATEGORY_DUPLICATE",
    **_body(
        CategoryUpdateRequest,
        {"data": {"type": "userCategoryUpdate", "id": _CATEGORY, "attributes": {"name": "Избранное"}}},
    ),
)
CATEGORY_DELETE = route(
    "Delete a category: it leaves its items",
    {204: answer("It is gone")},
    *FOR_USERS,
    "CATEGORY_NOT_FOUND",
)
