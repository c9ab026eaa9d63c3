"""The library: pages of items, one item, and what a user changes of them (R-LIB-1, R-LIB-2, R-LIB-9)."""

import os
from collections.abc import Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from msgspec import UNSET
from pydantic import BaseModel, ConfigDict, Field

from actors.copies.answering import FromCopy
from actors.domain.commands import CLEAR_RATING, ChangeItems, GetItem, GetItems, ItemChange, ItemSort, ListItems
from actors.domain.ids import (
    CategoryId,
    CommandId,
    ItemId,
    Micros,
    UserId,
    format_id,
    format_time,
    parse_id,
    parse_time,
)
from actors.domain.library import refused_change
from actors.domain.model import AcquisitionType, InstallationStatus
from actors.domain.replies import ItemsChanged, ItemsPage, OneItem, Refused, Removal, SomeItems
from serve_app.bodies import BASE, Document, ItemList, PageLinks, PageMeta, RemovedRef, item_body
from serve_app.conditional import tagged
from serve_app.errors import ApiError, error_objects, language_of
from serve_app.library_bodies import (
    ItemResults,
    ItemUpdateAttributes,
    ItemUpdateRequest,
    ItemUpdatesRequest,
    item_result,
)
from serve_app.outcomes import error_of, json_answer, raise_for
from serve_app.reading import invalid_body, invalid_parameter, read_body_id, read_parameter_id
from serve_app.rest.body import body_of
from serve_app.rest.links import link
from serve_app.rest.openapi_library import ITEM, ITEM_LIST, ITEM_UPDATE, ITEM_UPDATES
from serve_app.rest.route import guarded_route, response
from serve_app.rest.services import Services, caller, no_parameters, trace_id

ITEMS_PATH = f"{BASE}/items"


class ItemsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: InstallationStatus | None = Field(None, description="Items in this installation status only")
    category_id: str | None = Field(
        None, description="Items of this category only", json_schema_extra={"format": "uuid"}
    )
    acquisition_type: AcquisitionType | None = Field(None, description="Items acquired in this way only")
    search: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Text in the title, by parts of words in any order; case and Russian ё do not matter",
    )
    include_hidden: bool = Field(False, description="Hidden items too")
    updated_since: str | None = Field(
        None,
        max_length=40,
        description="What changed at or after this moment; not together with `search` or `sort_by`",
        json_schema_extra={"format": "date-time"},
    )
    sort_by: ItemSort = Field("name_asc", description="Never played sorts last; ties by id")
    page: int = Field(1, ge=1, le=1_000_000)
    limit: int = Field(20, ge=1, le=100)

    def command(self) -> ListItems:
        """``ApiError`` for values that no library could match."""
        if self.search is not None and not self.search.strip():
            raise invalid_parameter("nothing to search for", "search")
        since = None if self.updated_since is None else _moment(self.updated_since)
        for name in ("search", "sort_by"):
            if since is not None and name in self.model_fields_set:
                raise invalid_parameter("not together with updated_since", name)
        category_id = None
        if self.category_id is not None:
            category_id = CategoryId(read_parameter_id(self.category_id, "category_id"))
        return ListItems(
            self.status,
            self.sort_by,
            self.page,
            self.limit,
            category_id,
            self.search,
            self.acquisition_type,
            self.include_hidden,
            since,
        )


def items_router(services: Services) -> APIRouter:
    router = APIRouter(prefix=ITEMS_PATH, tags=["library"], route_class=guarded_route(services.errors))
    encode = msgspec.json.Encoder().encode
    read_update = msgspec.json.Decoder(ItemUpdateRequest)
    read_updates = msgspec.json.Decoder(ItemUpdatesRequest)

    async def current(request: Request) -> UserId:
        return await caller(services, request)

    Caller = Annotated[UserId, Depends(current)]

    @router.get("", **ITEM_LIST)
    async def list_items(user_id: Caller, request: Request, query: Annotated[ItemsQuery, Query()]) -> Response:
        page, stale_since = await _page(services, user_id, query, request)
        body = encode(items_document(query, page, stale_since))
        return response(tagged(body, request.headers.get("if-none-match")))

    @router.get("/{item_id}", **ITEM)
    async def get_item(user_id: Caller, item_id: str, request: Request) -> Response:
        no_parameters(request)
        item = await one_item(services, user_id, item_id, request)
        return response(tagged(encode(Document(item_body(item))), request.headers.get("if-none-match")))

    @router.patch("/{item_id}", **ITEM_UPDATE)
    async def update_item(user_id: Caller, item_id: str, request: Request) -> Response:
        no_parameters(request)
        data = (await body_of(request, read_update)).data
        wanted = path_item_id(item_id)
        if read_body_id(data.id, "/data/id") != wanted:
            raise invalid_body("not the item of the path", "/data/id")
        command = ChangeItems((_change(wanted, data.attributes, "/data"),))
        (result,) = await changed_items(services, user_id, command, request)
        if isinstance(result, Refused):
            raise _refusal(result)
        return response(json_answer(200, encode(Document(item_body(result)))))

    @router.patch("", **ITEM_UPDATES)
    async def update_items(user_id: Caller, request: Request) -> Response:
        no_parameters(request)
        asked = (await body_of(request, read_updates)).data
        wanted = [ItemId(read_body_id(one.id, f"/data/{n}/id")) for n, one in enumerate(asked)]
        for n, item_id in enumerate(wanted):
            if item_id in wanted[:n]:
                raise invalid_body("this item was named before", f"/data/{n}/id")
        changes = (
            _change(item_id, one.attributes, f"/data/{n}")
            for n, (item_id, one) in enumerate(zip(wanted, asked, strict=True))
        )
        results = await changed_items(services, user_id, ChangeItems(tuple(changes)), request)
        return response(json_answer(200, encode(_item_results(request, wanted, results))))

    return router


def _item_results(request: Request, wanted: Sequence[ItemId], results: Sequence[OneItem | Refused]) -> ItemResults:
    language = language_of(request.headers.get("accept-language", "").encode("latin-1"))
    return ItemResults([
        item_result(
            format_id(item_id), result if isinstance(result, OneItem) else error_objects(error_of(result), language)
        )
        for item_id, result in zip(wanted, results, strict=True)
    ])  # fmt: skip


async def _page(
    services: Services, user_id: UserId, query: ItemsQuery, request: Request
) -> tuple[ItemsPage, Micros | None]:
    """The page, and since when it may be old if it is from a copy."""
    reply = await services.pages.ask(
        user_id, query.command(), timeout_s=services.command_timeout_s, trace=trace_id(request)
    )
    stale_since = None
    if isinstance(reply, FromCopy):
        stale_since, reply = reply.stale_since, reply.answer
    if isinstance(reply, Refused) and reply.code == "VALIDATION_ERROR":
        raise invalid_parameter("no such category", "category_id")
    if not isinstance(reply, ItemsPage):
        raise_for(reply)
    return reply, stale_since


def items_document(query: ItemsQuery, page: ItemsPage, stale_since: Micros | None = None) -> ItemList:
    """A page as it goes out, whoever made it. Its links keep the filters (R-LIB-8)."""
    given = query.model_dump(exclude_unset=True)
    links = PageLinks(link(ITEMS_PATH, given))
    if query.page * query.limit < page.total_items:
        links = PageLinks(link(ITEMS_PATH, given), link(ITEMS_PATH, {**given, "page": query.page + 1}))
    removed = UNSET if query.updated_since is None else [_removed(one) for one in page.removed]
    stale = UNSET if stale_since is None else format_time(stale_since)
    meta = PageMeta(page.total_items, query.page, query.limit, format_time(page.changed_at), removed, stale)
    return ItemList([item_body(item) for item in page.items], meta, links)


async def one_item(services: Services, user_id: UserId, item_id: str, request: Request) -> OneItem:
    """The user's item of that id; ``ApiError`` 404 if there is none."""
    reply = await services.actors.call(
        user_id, GetItem(path_item_id(item_id)), timeout_s=services.command_timeout_s, trace=trace_id(request)
    )
    if not isinstance(reply, OneItem):
        raise_for(reply)
    return reply


def path_item_id(text: str) -> ItemId:
    """What is no UUID is nobody's item: indistinguishable from an unknown one (R-SEC-2)."""
    try:
        return ItemId(parse_id(text))
    except ValueError:
        raise ApiError("LIBRARY_ITEM_NOT_FOUND") from None


async def changed_items(
    services: Services, user_id: UserId, command: ChangeItems, request: Request
) -> Sequence[OneItem | Refused]:
    """What became of each change: the item as it is now, or the refusal."""
    trace, timeout_s = trace_id(request), services.command_timeout_s
    command_id = CommandId(os.urandom(16))
    reply = await services.actors.call(user_id, command, timeout_s=timeout_s, command_id=command_id, trace=trace)
    if isinstance(reply, Refused):
        return [reply]
    if not isinstance(reply, ItemsChanged):
        raise_for(reply)
    item_ids = tuple(change.item_id for change in command.changes)
    shown = await services.actors.call(user_id, GetItems(item_ids), timeout_s=timeout_s, trace=trace)
    if not isinstance(shown, SomeItems):
        raise_for(shown)
    return [
        (refused_change(wrong) if wrong is not None else item) or refused_change("item")
        for wrong, item in zip(reply.wrong, shown.items, strict=True)
    ]


def _refusal(refused: Refused) -> ApiError:
    """With the place of what is wrong: the rules name the member first."""
    if refused.code == "VALIDATION_ERROR":
        member, _, detail = refused.detail.partition(": ")
        return invalid_body(detail, f"/data/attributes/{member}")
    return error_of(refused)


def _change(item_id: ItemId, asked: ItemUpdateAttributes, pointer: str) -> ItemChange:
    rating = None if asked.user_rating is UNSET else (asked.user_rating or CLEAR_RATING)
    categories = None
    if asked.category_ids is not UNSET:
        place = f"{pointer}/attributes/category_ids"
        categories = tuple(CategoryId(read_body_id(text, f"{place}/{n}")) for n, text in enumerate(asked.category_ids))
    is_hidden = None if asked.is_hidden is UNSET else asked.is_hidden
    return ItemChange(item_id, is_hidden, rating, categories)


def _removed(removal: Removal) -> RemovedRef:
    return RemovedRef(
        "libraryItem", format_id(removal.item_id), format_id(removal.product_id), format_time(removal.removed_at)
    )


def _moment(text: str) -> Micros:
    try:
        return parse_time(text)
    except ValueError:
        raise invalid_parameter("not an RFC 3339 time", "updated_since") from None
