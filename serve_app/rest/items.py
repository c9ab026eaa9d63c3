"""The library: pages of items, and one item (R-LIB-1, R-LIB-2)."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from actors.domain.commands import GetItem, ItemSort, ListItems
from actors.domain.ids import ItemId, UserId, parse_id
from actors.domain.model import InstallationStatus
from actors.domain.replies import ItemsPage, OneItem
from serve_app.bodies import BASE, Document, ItemList, PageLinks, PageMeta, item_body
from serve_app.errors import ApiError
from serve_app.outcomes import json_answer, raise_for
from serve_app.rest.links import link
from serve_app.rest.openapi import ITEM, ITEM_LIST
from serve_app.rest.route import guarded_route, response
from serve_app.rest.services import Services, caller, no_parameters, trace_id

ITEMS_PATH = f"{BASE}/items"


class ItemsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: InstallationStatus | None = Field(None, description="Items in this installation status only")
    sort_by: ItemSort = Field("name_asc", description="Never played sorts last; ties by id")
    page: int = Field(1, ge=1, le=1_000_000)
    limit: int = Field(20, ge=1, le=100)


def items_router(services: Services) -> APIRouter:
    router = APIRouter(prefix=ITEMS_PATH, tags=["library"], route_class=guarded_route(services.errors))
    encode = msgspec.json.Encoder().encode

    async def current(request: Request) -> UserId:
        return await caller(services, request)

    Caller = Annotated[UserId, Depends(current)]

    @router.get("", **ITEM_LIST)
    async def list_items(user_id: Caller, request: Request, query: Annotated[ItemsQuery, Query()]) -> Response:
        command = ListItems(query.status, query.sort_by, query.page, query.limit)
        reply = await services.actors.call(
            user_id, command, timeout_s=services.command_timeout_s, trace=trace_id(request)
        )
        if not isinstance(reply, ItemsPage):
            raise_for(reply)
        given = query.model_dump(exclude_unset=True)
        links = PageLinks(link(ITEMS_PATH, given))
        if query.page * query.limit < reply.total_items:
            links = PageLinks(link(ITEMS_PATH, given), link(ITEMS_PATH, {**given, "page": query.page + 1}))
        meta = PageMeta(reply.total_items, query.page, query.limit)
        return response(json_answer(200, encode(ItemList([item_body(item) for item in reply.items], meta, links))))

    @router.get("/{item_id}", **ITEM)
    async def get_item(user_id: Caller, item_id: str, request: Request) -> Response:
        no_parameters(request)
        try:
            command = GetItem(ItemId(parse_id(item_id)))
        except ValueError:
            raise ApiError("LIBRARY_ITEM_NOT_FOUND") from None
        reply = await services.actors.call(
            user_id, command, timeout_s=services.command_timeout_s, trace=trace_id(request)
        )
        if not isinstance(reply, OneItem):
            raise_for(reply)
        return response(json_answer(200, encode(Document(item_body(reply.item)))))

    return router
