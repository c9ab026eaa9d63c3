"""A documented route's JSON body, as a value."""

from typing import TypeVar

import msgspec
from fastapi import Request
from starlette.requests import ClientDisconnect

from actors.domain.commands import UseKey
from actors.domain.ids import CommandId, UserId
from actors.domain.replies import Done
from serve_app.fast_path import ClientGone
from serve_app.idempotency import HEADER, command_id_of
from serve_app.negotiation import check_body_type
from serve_app.outcomes import raise_for
from serve_app.reading import read_body
from serve_app.rest.services import Services, trace_id

T = TypeVar("T")


async def body_of(request: Request, decoder: msgspec.json.Decoder[T]) -> T:
    """``ApiError`` 400 for a body that is not what the route describes, 415 for one that is not JSON. Its size is
    bounded where it is received."""
    return read_body(decoder, await raw_body_of(request))


async def key_of(request: Request, user_id: UserId) -> CommandId | None:
    """The command id of a POST's ``Idempotency-Key``, for every command that it becomes; None without one. ``ApiError``
    400 for a key that is none. May be asked for before or after the body was read."""
    if HEADER not in dict(request.scope["headers"]):
        return None
    return command_id_of(request.scope["headers"], user_id, request.scope, await raw_body_of(request))


async def use_key(services: Services, user_id: UserId, request: Request) -> CommandId | None:
    """``key_of`` a request that the user's actor does not do itself: the key is noted there, so that another request
    with it is refused before anything is done."""
    key = await key_of(request, user_id)
    if key is None:
        return None
    reply = await services.actors.call(
        user_id, UseKey(), timeout_s=services.command_timeout_s, command_id=key, trace=trace_id(request)
    )
    if not isinstance(reply, Done):
        raise_for(reply)
    return key


async def raw_body_of(request: Request) -> bytes:
    """As often as it is asked for."""
    try:
        body = await request.body()
    except ClientDisconnect:
        raise ClientGone from None
    if body:
        headers = dict(request.scope["headers"])
        check_body_type(headers.get(b"content-type"), headers.get(b"content-encoding"))
    return body
