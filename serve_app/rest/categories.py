"""A user's own categories (R-LIB-3)."""

import os
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from actors.domain.commands import Command, CreateCategory, DeleteCategory, ListCategories, RenameCategory
from actors.domain.ids import CategoryId, CommandId, UserId, parse_id
from actors.domain.replies import Categories, Done, OneCategory, Refused, Reply
from serve_app.bodies import BASE, Document, SelfLink
from serve_app.errors import ApiError
from serve_app.library_bodies import CategoryCreationRequest, CategoryList, CategoryUpdateRequest, category_body
from serve_app.outcomes import Answer, json_answer, raise_for
from serve_app.reading import invalid_body, read_body_id
from serve_app.rest.body import body_of, key_of
from serve_app.rest.openapi_library import CATEGORY_CREATE, CATEGORY_DELETE, CATEGORY_LIST, CATEGORY_UPDATE
from serve_app.rest.route import guarded_route, response
from serve_app.rest.services import Services, caller, no_parameters, trace_id

CATEGORIES_PATH = f"{BASE}/categories"


def categories_router(services: Services) -> APIRouter:
    router = APIRouter(prefix=CATEGORIES_PATH, tags=["library"], route_class=guarded_route(services.errors))
    encode = msgspec.json.Encoder().encode
    read_creation = msgspec.json.Decoder(CategoryCreationRequest)
    read_update = msgspec.json.Decoder(CategoryUpdateRequest)

    async def current(request: Request) -> UserId:
        return await caller(services, request)

    Caller = Annotated[UserId, Depends(current)]

    async def call(user_id: UserId, command: Command, request: Request) -> Reply:
        key = await key_of(request, user_id) if request.method == "POST" else None
        own = CommandId(os.urandom(16)) if command.remembered else None
        return await services.actors.call(
            user_id,
            command,
            timeout_s=services.command_timeout_s,
            command_id=key or own,
            trace=trace_id(request),
        )

    @router.get("", **CATEGORY_LIST)
    async def list_categories(user_id: Caller, request: Request) -> Response:
        no_parameters(request)
        reply = await call(user_id, ListCategories(), request)
        if not isinstance(reply, Categories):
            raise_for(reply)
        bodies = [category_body(category) for category in reply.categories]
        return response(json_answer(200, encode(CategoryList(bodies, SelfLink(CATEGORIES_PATH)))))

    @router.post("", **CATEGORY_CREATE)
    async def create_category(user_id: Caller, request: Request) -> Response:
        no_parameters(request)
        asked = (await body_of(request, read_creation)).data.attributes
        category = _category(await call(user_id, CreateCategory(asked.name), request))
        return response(json_answer(201, encode(Document(category_body(category.category)))))

    @router.patch("/{category_id}", **CATEGORY_UPDATE)
    async def rename_category(user_id: Caller, category_id: str, request: Request) -> Response:
        no_parameters(request)
        data = (await body_of(request, read_update)).data
        wanted = _path_id(category_id)
        if read_body_id(data.id, "/data/id") != wanted:
            raise invalid_body("not the category of the path", "/data/id")
        category = _category(await call(user_id, RenameCategory(wanted, data.attributes.name), request))
        return response(json_answer(200, encode(Document(category_body(category.category)))))

    @router.delete("/{category_id}", **CATEGORY_DELETE)
    async def delete_category(user_id: Caller, category_id: str, request: Request) -> Response:
        no_parameters(request)
        reply = await call(user_id, DeleteCategory(_path_id(category_id)), request)
        if not isinstance(reply, Done):
            raise_for(reply)
        return response(Answer(204, []))

    return router


def _category(reply: Reply) -> OneCategory:
    if isinstance(reply, OneCategory):
        return reply
    if isinstance(reply, Refused) and reply.code == "VALIDATION_ERROR":
        raise invalid_body(reply.detail.partition(": ")[2], "/data/attributes/name")
    raise_for(reply)
    return None


def _path_id(text: str) -> CategoryId:
    """What is no UUID is nobody's category: indistinguishable from an unknown one (R-SEC-2)."""
    try:
        return CategoryId(parse_id(text))
    except ValueError:
        raise ApiError("CATEGORY_NOT_FOUND") from None
