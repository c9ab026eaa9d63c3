"""The door's ASGI app: answers the three session calls itself, leaves the rest to FastAPI.

A heartbeat costs FastAPI ten times what it costs here. Both ends meet in ``SessionEndpoint``, which the documented
routes use too, so a request gets the same answer either way.

Everything that reaches a client passes here: counted, timed, and an error of any kind in the one error shape.
"""

from collections.abc import Sequence
from time import perf_counter
from typing import Any, Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.auth import Authenticator
from serve_app.bodies import BASE
from serve_app.error_answers import Described, ErrorAnswers
from serve_app.errors import ApiError, new_trace_id
from serve_app.idempotency import command_id_of
from serve_app.metrics import DoorMetrics
from serve_app.negotiation import accepts_json, check_body_type, trace_of
from serve_app.outcomes import Answer
from serve_app.rate_limits import RateLimits
from serve_app.reading import invalid_parameter
from serve_app.session_calls import SessionCalls

Verb = Literal["start", "heartbeat", "end"]
Headers = Sequence[tuple[bytes, bytes]]

SESSIONS = f"{BASE}/playtime/sessions/"
_SESSIONS_LENGTH = len(SESSIONS)
LANE_DEADLINE = "library.lane_deadline"
"""In the scope of a heartbeat that was admitted before, by the lane: until when it may take, by ``perf_counter``."""


class ClientGone(Exception):
    """The connection closed before the request was complete; nobody waits for an answer."""


class SessionEndpoint:
    """Headers, body and path of a session call into ``SessionCalls``; ``ApiError`` for what is wrong with them."""

    def __init__(
        self, calls: SessionCalls, authenticator: Authenticator, rates: RateLimits, *, body_bytes: int
    ) -> None:
        self._calls = calls
        self._rates = rates
        self._authenticator = authenticator
        self._body_bytes = body_bytes

    async def answer(self, verb: Verb, session: str, scope: Scope, receive: Receive) -> Answer:
        headers: Headers = scope["headers"]
        by_name = dict(headers)
        user_id = self._authenticator.recall(by_name, len(headers))
        if user_id is None:
            user_id = await self._authenticator.authenticate(headers)
        deadline: float | None = scope.get(LANE_DEADLINE)
        if verb != "heartbeat":
            self._rates.check(user_id, "write")
        elif deadline is None:
            self._rates.check_beat(user_id, session.encode())
        if not accepts_json(by_name.get(b"accept", b"*/*")):
            raise ApiError("NOT_ACCEPTABLE", "this resource is application/json")
        if scope["query_string"]:
            raise invalid_parameter("there are no query parameters here", _first_name(scope["query_string"]))
        traceparent = by_name.get(b"traceparent")
        trace = None if traceparent is None else trace_of(traceparent)
        if verb == "heartbeat":
            left_s = None if deadline is None else max(0.0, deadline - perf_counter())
            key = command_id_of(headers, user_id, scope, b"")
            return await self._calls.heartbeat(user_id, session, trace, key, timeout_s=left_s)
        scope["trace_id"] = trace = trace or new_trace_id()
        if verb == "end":
            return await self._calls.end(user_id, session, trace, command_id_of(headers, user_id, scope, b""))
        body = await self._read(receive)
        if body:
            check_body_type(by_name.get(b"content-type"), by_name.get(b"content-encoding"))
        return await self._calls.start(user_id, body, trace, command_id_of(headers, user_id, scope, body))

    async def _read(self, receive: Receive) -> bytes:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part: bytes = message.get("body", b"")
            body += part
            if len(body) > self._body_bytes:
                raise ApiError("PAYLOAD_TOO_LARGE", f"a body has at most {self._body_bytes} bytes")
            if not message.get("more_body", False):
                return body


class FastPath:
    def __init__(self, endpoint: SessionEndpoint, rest: ASGIApp, errors: ErrorAnswers, metrics: DoorMetrics) -> None:
        self._endpoint = endpoint
        self._rest = rest
        self._errors = errors
        self._metrics = metrics
        self._series = {
            "start": metrics.series("POST", f"{SESSIONS}start"),
            "heartbeat": metrics.series("POST", f"{SESSIONS}{{session_id}}/heartbeat"),
            "end": metrics.series("POST", f"{SESSIONS}{{session_id}}/end"),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        metrics = self._metrics
        metrics.in_flight += 1
        started = perf_counter()
        try:
            if scope["method"] == "POST" and (call := session_call(scope["path"])) is not None:
                verb, session = call
                answer = await self._answer(verb, session, scope, receive)
                await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
                await send({"type": "http.response.body", "body": answer.body})
                self._series[verb].observe(answer.status, perf_counter() - started)
            else:
                status = await self._serve_rest(scope, receive, send)
                metrics.series(*_route_of(scope)).observe(status, perf_counter() - started)
        except ClientGone:
            pass
        finally:
            metrics.in_flight -= 1

    async def _answer(self, verb: Verb, session: str, scope: Scope, receive: Receive) -> Answer:
        try:
            return await self._endpoint.answer(verb, session, scope, receive)
        except ApiError as error:
            return self._errors.error(error, **described(scope))
        except ClientGone:
            raise
        except Exception as bug:  # noqa: BLE001  # the last frame before the client: a bug is an incident, not a crash
            return self._errors.crash(bug, **described(scope))

    async def _serve_rest(self, scope: Scope, receive: Receive, send: Send) -> int:
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await self._rest(scope, receive, watch)
        return status


def session_call(path: str) -> tuple[Verb, str] | None:
    """Which of the three calls a path is, and the session's id as it stands there."""
    if not path.startswith(SESSIONS):
        return None
    tail = path[_SESSIONS_LENGTH:]
    if tail == "start":
        return "start", ""
    session, _, verb = tail.partition("/")
    if not session:
        return None
    if verb == "heartbeat":
        return "heartbeat", session
    return ("end", session) if verb == "end" else None


def described(scope: Scope) -> Described:
    """What an error tells of its request: headers, line, and the trace id under which the engine heard of it."""
    return {
        "headers": dict(scope["headers"]),
        "request": f"{scope['method']} {scope['path']}",
        "trace_id": scope.get("trace_id"),
    }


def _route_of(scope: Scope) -> tuple[str, str]:
    route: Any = scope.get("route")
    return (scope["method"], route.path) if route is not None else ("-", "unmatched")


def _first_name(query: bytes) -> str:
    return query.split(b"&", 1)[0].split(b"=", 1)[0].decode("latin-1")
