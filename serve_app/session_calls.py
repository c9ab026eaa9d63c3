"""The three calls of a play session, from what came in to what goes out (R-PT-1, R-PT-9, R-PT-10).

No framework: the fast path and the documented routes both end here.
"""

import logging
import os
from functools import lru_cache

import msgspec

from actors.domain.commands import EndSession, Heartbeat, StartSession
from actors.domain.ids import SECOND, CommandId, Micros, ProductId, SessionId, UserId, format_id, format_time, parse_id
from actors.domain.replies import HeartbeatCounted, Reply, SessionIsLive, SessionIsOver
from serve_app.bodies import Document, StartRequest, ended_session_body, live_session_body
from serve_app.errors import ApiError
from serve_app.outcomes import Answer, json_answer, raise_for
from serve_app.ports import UserActors
from serve_app.reading import read_body, read_body_id

_log = logging.getLogger("library.access")

ACCEPTED_AT = b"library-accepted-at"
NEXT_HEARTBEAT = b"library-next-heartbeat-seconds"


class SessionCalls:
    def __init__(self, actors: UserActors, *, command_timeout_s: float) -> None:
        self._actors = actors
        self._timeout_s = command_timeout_s
        self._start_request = msgspec.json.Decoder(StartRequest)
        self._encode = msgspec.json.Encoder().encode

    async def start(self, user_id: UserId, body: bytes, trace: str, key: CommandId | None = None) -> Answer:
        """201 with a new session, 200 with the one this device already has. ``key``: of the request, if it has one."""
        asked = read_body(self._start_request, body).data.attributes
        command = StartSession(
            ProductId(read_body_id(asked.product_id, "/data/attributes/product_id")),
            asked.device_id or "",
            asked.platform,
        )
        command_id = key or CommandId(os.urandom(16))
        reply = await self._actors.call(user_id, command, timeout_s=self._timeout_s, command_id=command_id, trace=trace)
        if type(reply) is not SessionIsLive:
            raise_for(reply)
        session = reply.session
        _note("session resumed" if reply.resumed else "session started", user_id, session.session_id, trace)
        return json_answer(
            200 if reply.resumed else 201,
            self._encode(Document(live_session_body(session))),
            (ACCEPTED_AT, _header_time(session.last_heartbeat_at)),
            (NEXT_HEARTBEAT, b"%d" % session.interval_s),
        )

    async def heartbeat(
        self,
        user_id: UserId,
        session: str,
        trace: str | None,
        key: CommandId | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Answer:
        """204; the session will not end before ``Library-Accepted-At``. ``timeout_s``: what is left of its time."""
        command = Heartbeat(_session_id(session))
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        reply = await self._actors.call(user_id, command, timeout_s=timeout_s, command_id=key, trace=trace)
        return counted_answer(reply)

    async def end(self, user_id: UserId, session: str, trace: str, key: CommandId | None = None) -> Answer:
        """200 with the completed session, however often it is asked for."""
        command = EndSession(_session_id(session))
        reply = await self._actors.call(user_id, command, timeout_s=self._timeout_s, command_id=key, trace=trace)
        if type(reply) is not SessionIsOver:
            raise_for(reply)
        _note("session ended", user_id, reply.session.session_id, trace)
        return json_answer(
            200,
            self._encode(Document(ended_session_body(reply.session))),
            (ACCEPTED_AT, _header_time(reply.session.ended_at)),
        )


def counted_answer(reply: Reply) -> Answer:
    """204 for a heartbeat that counts; ``ApiError`` for what else an actor answers."""
    if type(reply) is not HeartbeatCounted:
        raise_for(reply)
    return Answer(204, [(ACCEPTED_AT, _header_time(reply.accepted_at)), (NEXT_HEARTBEAT, b"%d" % reply.interval_s)])


def _session_id(text: str) -> SessionId:
    """What is no UUID is nobody's session: indistinguishable from an unknown one (R-SEC-2)."""
    try:
        return SessionId(parse_id(text))
    except ValueError:
        raise ApiError("SESSION_NOT_FOUND") from None


def _note(what: str, user_id: UserId, session_id: SessionId, trace: str) -> None:
    _log.info(
        what,
        extra={"user_id": format_id(user_id), "session_id": format_id(session_id), "trace_id": trace},
    )


@lru_cache(maxsize=4096)
def _second(second: int) -> bytes:
    return format_time(Micros(second * SECOND))[:-1].encode()


def _header_time(at: Micros) -> bytes:
    """``format_time``, for many moments of few seconds."""
    second, micros = divmod(at, SECOND)
    return b"%s.%06dZ" % (_second(second), micros) if micros else _second(second) + b"Z"
