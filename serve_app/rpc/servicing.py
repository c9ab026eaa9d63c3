"""What both servers do around a handler: admit the call, bound it, measure it, and give every failure its status.

A server brings bytes and takes bytes. Whatever a client sends, what comes back is an answer or an ``RpcError``.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from google.protobuf.message import DecodeError, Message
from msgspec import Struct

from actors.telemetry.logs import LogBudget
from serve_app.auth import Authenticator
from serve_app.errors import ApiError
from serve_app.negotiation import trace_of
from serve_app.rpc.callers import Peers
from serve_app.rpc.codes import Code, RpcError, deadline_exceeded, of_api_error, unavailable
from serve_app.rpc.methods import Call, Kind, Method, Table
from serve_app.rpc.metrics import MethodSeries, RpcMetrics
from serve_app.rpc.wire import malformed, too_large

_log = logging.getLogger(__name__)
_access = logging.getLogger("library.access")


class Arrival(Struct, frozen=True, gc=False):
    """What a server knows when a call begins. ``certificate`` is the client's leaf in PEM, None without TLS;
    ``authorization`` all values of that header; ``timeout_s`` what the caller gives it."""

    certificate: str | None
    authorization: tuple[bytes, ...] = ()
    timeout_s: float | None = None
    traceparent: bytes | None = None


class Gone(Exception):
    """The client has left: nobody is there to be answered. A server's bodies may raise it."""


class Servicing:
    """Lives on one event loop."""

    def __init__(
        self,
        methods: Table,
        *,
        peers: Peers,
        authenticator: Authenticator,
        metrics: RpcMetrics,
        budget: LogBudget,
    ) -> None:
        self.methods = methods
        self._peers = peers
        self._authenticator = authenticator
        self._metrics = metrics
        self._budget = budget
        self._series = {path: metrics.series(path) for path in methods}
        self._unmatched = metrics.series("unmatched")
        self._loop = asyncio.get_running_loop()
        self._streams: set[asyncio.Task[Any]] = set()
        self._ending = False

    async def answer(self, method: Method, body: bytes, arrival: Arrival) -> bytes:
        """A unary call, whole. ``RpcError`` for all that goes wrong; a cancelled one is counted and goes on up."""
        series = self._series[method.path]
        began = self._loop.time()
        code = Code.CANCELLED
        series.in_work += 1
        try:
            try:
                call = await self._admit(method, series, arrival, began)
                if len(body) > method.message_bytes:
                    raise too_large(method.message_bytes)
                handler: Any = method.handler
                response: Message = await handler(_parse(method, body), call)
                code = Code.OK
                return response.SerializeToString()
            except Exception as failed:  # noqa: BLE001  # every failure gets its status here
                error = self._explain(failed, method, arrival)
                code = error.code
                raise error from None
        finally:
            series.in_work -= 1
            series.observe(code, self._loop.time() - began)

    async def stream(
        self, method: Method, bodies: AsyncIterator[bytes], arrival: Arrival
    ) -> AsyncGenerator[bytes, None]:
        """A call with a stream on either side, under its caller's deadline. The same promises, and ``Gone``."""
        series = self._series[method.path]
        began = self._loop.time()
        code = Code.CANCELLED
        series.in_work += 1
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            try:
                if self._ending:
                    raise sent_away()
                call = await self._admit(method, series, arrival, began)
                async with asyncio.timeout_at(call.deadline):
                    async for response in _responses(method, _requests(method, bodies), call):
                        yield response.SerializeToString()
                code = Code.OK
            except asyncio.CancelledError:
                if not self._ending:
                    raise
                code = Code.UNAVAILABLE
                raise sent_away() from None
            except Gone:
                raise
            except Exception as failed:  # noqa: BLE001  # every failure gets its status here
                error = self._explain(failed, method, arrival)
                code = error.code
                raise error from None
        finally:
            self._streams.discard(task)
            series.in_work -= 1
            series.observe(code, self._loop.time() - began)

    def end_streams(self) -> None:
        """Those that go on would go on for ever: they are told to call again, elsewhere."""
        self._ending = True
        for task in list(self._streams):
            task.cancel()

    def refuse(self, path: str) -> RpcError:
        """For a method that nobody serves."""
        self._unmatched.observe(Code.UNIMPLEMENTED, 0.0)
        return RpcError(Code.UNIMPLEMENTED, "UNKNOWN_METHOD", f"there is no method {path[:200]}")

    def refused_on_the_wire(self, method: Method, error: RpcError) -> None:
        """Counts a call that never reached its handler."""
        self._series[method.path].observe(error.code, 0.0)

    async def _admit(self, method: Method, series: MethodSeries, arrival: Arrival, now: float) -> Call:
        if series.in_work > method.in_work:
            raise unavailable(f"more than {method.in_work} calls of {method.name} at the same time")
        deadline = None
        if arrival.timeout_s is not None:
            deadline = now + arrival.timeout_s
            if arrival.timeout_s <= 0:
                raise deadline_exceeded()
        peer = self._peers.of(arrival.certificate)
        user_id = None
        if arrival.authorization:
            user_id = await self._authenticator.authenticate([(b"authorization", one) for one in arrival.authorization])
        if method.role is not None and method.role not in peer.roles and not (method.by_user and user_id is not None):
            raise RpcError(
                Code.PERMISSION_DENIED,
                "PERMISSION_DENIED",
                f"{peer.name} is not a {method.role.value}, and the call carries no user's token",
            )
        traceparent = arrival.traceparent
        return Call(peer, user_id, deadline, None if traceparent is None else trace_of(traceparent))

    def _explain(self, failed: BaseException, method: Method, arrival: Arrival) -> RpcError:
        match failed:
            case RpcError():
                error = failed
            case ApiError():
                error = of_api_error(failed)
            case TimeoutError():
                error = deadline_exceeded()
            case _:
                incident = os.urandom(16).hex()
                _log.error("incident %s: %s", incident, method.path, exc_info=failed)
                error = RpcError(Code.INTERNAL, "INTERNAL_ERROR", f"incident {incident}")
        if self._budget.allows():
            _access.warning(
                "%s: %s",
                method.path,
                error.code.name,
                extra={"detail": error.message, "with_token": bool(arrival.authorization)},
            )
        return error


def sent_away() -> RpcError:
    return unavailable("this door is closing; call again")


def _parse(method: Method, body: bytes) -> Message:
    try:
        return method.request.FromString(body)
    except DecodeError:
        raise malformed(f"the message is not a {method.request.DESCRIPTOR.name}") from None


async def _requests(method: Method, bodies: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    while True:
        try:
            async with asyncio.timeout(method.idle_s):
                body = await anext(bodies, None)
        except TimeoutError:
            raise unavailable(f"the stream was silent for {method.idle_s:g} s") from None
        if body is None:
            return
        if len(body) > method.message_bytes:
            raise too_large(method.message_bytes)
        yield _parse(method, body)


async def _responses(method: Method, requests: AsyncIterator[Message], call: Call) -> AsyncIterator[Message]:
    handler: Any = method.handler
    match method.kind:
        case Kind.BIDI:
            async for response in handler(requests, call):
                yield response
        case Kind.CLIENT_STREAM:
            yield await handler(requests, call)
        case Kind.SERVER_STREAM:
            request = await anext(requests, None)
            if request is None:
                raise malformed("there is no message in the call")
            async for response in handler(request, call):
                yield response
        case Kind.UNARY:
            raise TypeError(f"{method.path} is no stream")
