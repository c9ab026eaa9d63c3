"""gRPC over HTTP/2 as an ASGI application: a tenth of ``grpc.aio``'s CPU, for a server that knows trailers.

Errors before the first message are *trailers-only*: one block of headers that ends the stream, as the protocol asks.
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

from serve_app.rpc.codes import Code, RpcError
from serve_app.rpc.methods import Kind, Method
from serve_app.rpc.servicing import Arrival, Gone, Servicing
from serve_app.rpc.wire import HEADER_BYTES, Messages, encode_message, malformed, pack, parse_timeout, too_large

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Pairs = Iterable[tuple[bytes, bytes]]

BODY_TIMEOUT_S = 10.0
"""From the first bytes of a unary message to its last."""

_TYPE = (b"content-type", b"application/grpc")
_ENCODINGS = (b"grpc-accept-encoding", b"identity,gzip")
_START = {"type": "http.response.start", "status": 200, "trailers": True, "headers": (_TYPE, _ENCODINGS)}
_START_GZIP = {**_START, "headers": (_TYPE, _ENCODINGS, (b"grpc-encoding", b"gzip"))}
_OK = {"type": "http.response.trailers", "headers": ((b"grpc-status", b"0"),)}
_LAST = {"type": "http.response.body", "body": b""}


class GrpcApp:
    def __init__(self, servicing: Servicing) -> None:
        self._servicing = servicing

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        pairs = scope["headers"]
        headers = dict(pairs)
        if not headers.get(b"content-type", b"").startswith(b"application/grpc") or scope["method"] != "POST":
            await _refuse_http(send, 415 if scope["method"] == "POST" else 405)
            return
        method = self._servicing.methods.get(scope["path"])
        if method is None:
            await _fail(send, self._servicing.refuse(scope["path"]))
            return
        try:
            compressed = _is_compressed(headers.get(b"grpc-encoding"))
            arrival = _arrival(scope, headers, pairs)
        except RpcError as error:
            self._servicing.refused_on_the_wire(method, error)
            await _fail(send, error)
            return
        gzip = b"gzip" in headers.get(b"grpc-accept-encoding", b"")
        try:
            if method.kind is Kind.UNARY:
                await self._unary(method, arrival, receive, send, compressed=compressed, gzip=gzip)
            else:
                bodies = _bodies(receive, Messages(method.message_bytes, gzip=compressed))
                await self._stream(method, bodies, arrival, send, gzip=gzip)
        except Gone:
            return

    async def _unary(
        self, method: Method, arrival: Arrival, receive: Receive, send: Send, *, compressed: bool, gzip: bool
    ) -> None:
        try:
            try:
                body = await _one_body(receive, method.message_bytes, gzip=compressed)
            except RpcError as error:
                self._servicing.refused_on_the_wire(method, error)
                raise
            message = await self._servicing.answer(method, body, arrival)
        except RpcError as error:
            await _fail(send, error)
            return
        frame = pack(message, gzip=gzip)
        await send(_START_GZIP if frame[0] else _START)
        await send({"type": "http.response.body", "body": frame})
        await send(_OK)

    async def _stream(
        self, method: Method, bodies: AsyncIterator[bytes], arrival: Arrival, send: Send, *, gzip: bool
    ) -> None:
        started = False
        try:
            async with aclosing(self._servicing.stream(method, bodies, arrival)) as messages:
                async for message in messages:
                    if not started:
                        await send(_START_GZIP if gzip else _START)
                        started = True
                    await send({"type": "http.response.body", "body": pack(message, gzip=gzip), "more_body": True})
        except RpcError as error:
            if not started:
                await _fail(send, error)
                return
            await send(_LAST)
            await send({"type": "http.response.trailers", "headers": _trailers(error)})
            return
        if not started:
            await send(_START)
        await send(_LAST)
        await send(_OK)


def _arrival(scope: Any, headers: dict[bytes, bytes], pairs: Any) -> Arrival:
    tls = scope["extensions"].get("tls")
    chain = None if tls is None else tls["client_cert_chain"]
    authorization: tuple[bytes, ...] = ()
    if b"authorization" in headers:
        authorization = tuple(value for name, value in pairs if name == b"authorization")
    timeout = headers.get(b"grpc-timeout")
    return Arrival(
        chain[0] if chain else None,
        authorization,
        None if timeout is None else parse_timeout(timeout),
        headers.get(b"traceparent"),
    )


def _is_compressed(encoding: bytes | None) -> bool:
    if encoding is None or encoding == b"identity":
        return False
    if encoding == b"gzip":
        return True
    raise RpcError(Code.UNIMPLEMENTED, "UNKNOWN_ENCODING", "messages may be gzip or identity")


async def _one_body(receive: Receive, limit: int, *, gzip: bool) -> bytes:
    """The one message of a unary call."""
    event = await receive()
    if event["type"] == "http.disconnect":
        raise Gone
    body = event.get("body", b"")
    if event.get("more_body"):
        body = await _collect(body, receive, limit + HEADER_BYTES)
    if len(body) < HEADER_BYTES:
        raise malformed("there is no message in the call")
    size = int.from_bytes(body[1:HEADER_BYTES], "big")
    if size > limit:
        raise too_large(limit)
    if len(body) != HEADER_BYTES + size:
        raise malformed("the call is not exactly one message")
    message: bytes = body[HEADER_BYTES:]
    return message if not body[0] else Messages(limit, gzip=gzip).content(body[0], message)


async def _collect(first: bytes, receive: Receive, limit: int) -> bytes:
    chunks, size, more = [first], len(first), True
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while more:
                if size > limit:
                    raise too_large(limit - HEADER_BYTES)
                event = await receive()
                if event["type"] == "http.disconnect":
                    raise Gone
                chunks.append(event.get("body", b""))
                size += len(chunks[-1])
                more = event.get("more_body", False)
    except TimeoutError:
        raise malformed(f"the message was not sent within {BODY_TIMEOUT_S:g} s") from None
    return b"".join(chunks)


async def _bodies(receive: Receive, messages: Messages) -> AsyncIterator[bytes]:
    more = True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise Gone
        messages.feed(event.get("body", b""))
        more = event.get("more_body", False)
        while (message := messages.next()) is not None:
            yield message
    if messages.rest:
        raise malformed("the stream ends within a message")


def _trailers(error: RpcError) -> Pairs:
    return (
        (b"grpc-status", b"%d" % error.code),
        (b"grpc-message", encode_message(error.message)),
        (b"grpc-status-details-bin", b64encode(error.details()).rstrip(b"=")),
    )


async def _fail(send: Send, error: RpcError) -> None:
    headers = (_TYPE, _ENCODINGS, *_trailers(error))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send(_LAST)


async def _refuse_http(send: Send, status: int) -> None:
    """Not gRPC at all."""
    await send({"type": "http.response.start", "status": status, "headers": ((b"content-length", b"0"),)})
    await send(_LAST)
