"""A documented route's JSON body, as a value."""

from typing import TypeVar

import msgspec
from fastapi import Request
from starlette.requests import ClientDisconnect

from serve_app.fast_path import ClientGone
from serve_app.negotiation import check_body_type
from serve_app.reading import read_body

T = TypeVar("T")


async def body_of(request: Request, decoder: msgspec.json.Decoder[T]) -> T:
    """``ApiError`` 400 for a body that is not what the route describes, 415 for one that is not JSON. Its size is
    bounded where it is received."""
    try:
        body = await request.body()
    except ClientDisconnect:
        raise ClientGone from None
    if body:
        headers = dict(request.scope["headers"])
        check_body_type(headers.get(b"content-type"), headers.get(b"content-encoding"))
    return read_body(decoder, body)
