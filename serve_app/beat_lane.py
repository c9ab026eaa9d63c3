"""The lane of heartbeats: from the parser's headers to the bytes of the answer without an ASGI cycle or a task.

Nine of ten requests are heartbeats that nothing is wrong with. Such a one needs no body, no second look at its token
and one attempt at its actor, so that it can be answered in a callback. Whatever is not so plain is left to the ASGI
app, which gives every answer this lane gives: what a request gets does not depend on its way (R-PT-1, R-PT-9).
"""

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Protocol

from actors.domain.commands import Heartbeat
from actors.domain.ids import SessionId, parse_id
from actors.domain.replies import Reply
from serve_app.auth import Authenticator
from serve_app.error_answers import ErrorAnswers
from serve_app.errors import ApiError
from serve_app.fast_path import SESSIONS
from serve_app.metrics import DoorMetrics, RouteSeries
from serve_app.negotiation import accepts_json, trace_of
from serve_app.outcomes import Answer
from serve_app.ports import UserActors
from serve_app.rate_limits import RateLimits
from serve_app.session_calls import counted_answer

Headers = Sequence[tuple[bytes, bytes]]

_BEFORE, _AFTER = SESSIONS.encode(), b"/heartbeat"
_ID_AT, _ID_END = len(_BEFORE), len(_BEFORE) + 36
_LENGTH = _ID_END + len(_AFTER)
_ELSEWHERE = (b"idempotency-key", b"expect")
"""Headers with which a request takes the long way."""


class Connection(Protocol):
    """What a beat asks of the connection it came on."""

    def answer_beat(self, beat: "Beat", answer: Answer) -> None: ...

    def take_long_way(self, beat: "Beat") -> None: ...


class _NobodyWaits:
    def set(self) -> None:
        """A beat has no body that anybody could wait for."""


class Beat:
    """A heartbeat in work. The connection's view of it is that of uvicorn's ``RequestResponseCycle``."""

    __slots__ = ("_connection", "_lane", "_started", "_trace", "disconnected", "headers", "keep_alive", "more_body",
                 "response_complete", "response_started", "url")  # fmt: skip
    message_event = _NobodyWaits()

    def __init__(self, lane: "BeatLane", connection: Connection, url: bytes, headers: Headers) -> None:
        self._lane = lane
        self._connection = connection
        self.url = url
        self.headers = headers
        self._trace: str | None = None
        self._started = perf_counter()
        self.disconnected = False
        self.keep_alive = True
        self.more_body = False
        self.response_started = False
        self.response_complete = False

    @property
    def deadline(self) -> float:
        """By ``perf_counter``: whatever way it goes on, the beat has its time once."""
        return self._started + self._lane.timeout_s

    def on_reply(self, reply: Reply | None) -> None:
        lane = self._lane
        lane.metrics.in_flight -= 1
        if self.disconnected:
            return
        if reply is None:
            self._connection.take_long_way(self)
            return
        try:
            answer = counted_answer(reply)
        except ApiError as error:
            answer = lane.errors.error(error, dict(self.headers), self._request(), self._trace)
        except Exception as bug:  # noqa: BLE001  # the last frame before the client: a bug is an incident, not a crash
            answer = lane.errors.crash(bug, dict(self.headers), self._request(), self._trace)
        self._connection.answer_beat(self, answer)
        lane.series.observe(answer.status, perf_counter() - self._started)

    def _request(self) -> str:
        return f"POST {self.url.decode('ascii')}"


class BeatLane:
    """What the beats of a door share."""

    def __init__(
        self,
        actors: UserActors,
        authenticator: Authenticator,
        rates: RateLimits,
        errors: ErrorAnswers,
        metrics: DoorMetrics,
        *,
        command_timeout_s: float,
    ) -> None:
        self._actors = actors
        self._authenticator = authenticator
        self._rates = rates
        self.timeout_s = command_timeout_s
        self.errors = errors
        self.metrics = metrics
        self.series: RouteSeries = metrics.series("POST", f"{SESSIONS}{{session_id}}/heartbeat")

    def begin(self, connection: Connection, url: bytes, headers: Headers, by_name: dict[bytes, bytes]) -> Beat | None:
        """The beat, on its way to its actor; None for what is no plain heartbeat, and then nothing happened.

        One that was admitted here but cannot be sent at once takes the long way, where it is not asked for twice.

        The request is a POST in HTTP/1.1 without a body; ``by_name`` is made of ``headers``.
        """
        if len(url) != _LENGTH or not url.startswith(_BEFORE) or not url.endswith(_AFTER):
            return None
        user_id = self._authenticator.recall(by_name, len(headers))
        if user_id is None or not accepts_json(by_name.get(b"accept", b"*/*")):
            return None
        for name in _ELSEWHERE:
            if name in by_name:
                return None
        try:
            command = Heartbeat(SessionId(parse_id(url[_ID_AT:_ID_END].decode("ascii"))))
        except ValueError:
            return None
        if not self._rates.admits_beat(user_id, url[_ID_AT:_ID_END]):
            return None
        beat = Beat(self, connection, url, headers)
        if (traceparent := by_name.get(b"traceparent")) is not None:
            beat._trace = trace_of(traceparent)
        self.metrics.in_flight += 1
        if not self._actors.try_call(user_id, command, beat.on_reply, timeout_s=self.timeout_s, trace=beat._trace):
            asyncio.get_running_loop().call_soon(beat.on_reply, None)
        return beat
