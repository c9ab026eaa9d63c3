"""What an item needs other services for: a free product is confirmed by the catalog, an installation asked of the
Download Service (R-LIB-5, R-LIB-6)."""

import os
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from msgspec.structs import replace

from actors.catalog import CatalogUnavailable, Product
from actors.domain.commands import AddFreeProduct
from actors.domain.ids import CommandId, ProductId, UserId, format_id
from actors.domain.replies import OneItem
from actors.neighbours import InstallRefused, NeighbourUnavailable
from serve_app.bodies import BASE, Document, item_body
from serve_app.errors import ApiError
from serve_app.library_bodies import ItemCreationRequest
from serve_app.outcomes import json_answer, raise_for
from serve_app.reading import invalid_body, plain, read_body_id
from serve_app.rest.body import body_of, key_of, use_key
from serve_app.rest.items import ITEMS_PATH, one_item
from serve_app.rest.openapi_library import ITEM_ADD, ITEM_INSTALL
from serve_app.rest.route import guarded_route, response
from serve_app.rest.services import Services, caller, no_parameters, trace_id

_PRODUCT_POINTER = "/data/attributes/product_id"


def item_actions_router(services: Services) -> APIRouter:
    router = APIRouter(prefix=ITEMS_PATH, tags=["library"], route_class=guarded_route(services.errors))
    encode = msgspec.json.Encoder().encode
    read_creation = msgspec.json.Decoder(ItemCreationRequest)

    async def current(request: Request) -> UserId:
        return await caller(services, request)

    Caller = Annotated[UserId, Depends(current)]

    @router.post("", **ITEM_ADD)
    async def add_item(user_id: Caller, request: Request) -> Response:
        no_parameters(request)
        asked = (await body_of(request, read_creation)).data.attributes
        product_id = ProductId(read_body_id(asked.product_id, _PRODUCT_POINTER))
        key = await key_of(request, user_id)
        product = await free_product(services, product_id)
        await active_account(services, user_id)
        reply = await services.actors.call(
            user_id,
            AddFreeProduct(product_id),
            timeout_s=services.command_timeout_s,
            command_id=key or CommandId(os.urandom(16)),
            trace=trace_id(request),
        )
        if not isinstance(reply, OneItem):
            raise_for(reply)
        shown = replace(reply, title=product.title, cover_image_url=product.cover_image_url)
        body = item_body(shown)
        location = (b"location", f"{BASE}/items/{body.id}".encode())
        return response(json_answer(201 if reply.created else 200, encode(Document(body)), location))

    @router.post("/{item_id}/install", **ITEM_INSTALL)
    async def install_item(user_id: Caller, item_id: str, request: Request) -> Response:
        no_parameters(request)
        await use_key(services, user_id, request)
        shown = await one_item(services, user_id, item_id, request)
        try:
            await services.downloads.request_install(
                user_id=format_id(user_id), product_id=format_id(shown.item.product_id)
            )
        except InstallRefused as refused:
            raise ApiError("PERMISSION_DENIED", f"the Download Service refuses: {plain(refused.reason)}") from refused
        except NeighbourUnavailable as away:
            raise _unavailable("the Download Service is away", away.retry_after_s) from away
        return response(json_answer(202, encode(Document(item_body(shown)))))

    return router


async def free_product(services: Services, product_id: ProductId) -> Product:
    """The product, confirmed to be free; ``ApiError`` for one that is not, that nobody has, or that nobody knows."""
    text = format_id(product_id)
    try:
        found = await services.catalog.get_many([text])
    except CatalogUnavailable as away:
        raise _unavailable("the catalog is away", away.retry_after_s) from away
    if text not in found:
        raise _unavailable("the catalog did not answer in time", 1.0)
    product = found[text]
    if product is None:
        raise ApiError("PRODUCT_NOT_FOUND")
    if not product.free_to_play:
        raise invalid_body("the product is not free to play", _PRODUCT_POINTER)
    return product


async def active_account(services: Services, user_id: UserId) -> None:
    """A token may outlive the account: what is granted goes to an active one alone (R-CFG-2)."""
    try:
        is_active = await services.accounts.is_active(format_id(user_id))
    except NeighbourUnavailable as away:
        raise _unavailable("the Account Service is away", away.retry_after_s) from away
    if not is_active:
        raise ApiError("PERMISSION_DENIED", "the account is not active")


def _unavailable(detail: str, retry_after_s: float) -> ApiError:
    return ApiError("SERVICE_UNAVAILABLE", detail, retry_after_s=max(1, round(retry_after_s)))
