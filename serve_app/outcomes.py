"""From an actor's reply to an answer on the wire: what is not the expected kind of answer is an error."""

from typing import NoReturn

from msgspec import Struct

from actors.domain.replies import Failed, Overloaded, Refused, Reply, Unavailable
from serve_app.errors import ApiError


class Answer(Struct):
    """Status, headers (a fresh list each time: a server may append to it) and body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""


class UnexpectedReply(Exception):
    """The engine broke its contract with the doors; a bug of ours."""


def json_answer(status: int, body: bytes, *headers: tuple[bytes, bytes]) -> Answer:
    return Answer(
        status,
        [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers],
        body,
    )


def raise_for(reply: Reply) -> NoReturn:
    """The ``ApiError`` of a reply that is not what was asked for."""
    match reply:
        case Refused():
            raise ApiError(reply.code, reply.detail)
        case Overloaded():
            raise ApiError("SERVICE_UNAVAILABLE", f"overloaded: {reply.bound}", retry_after_s=reply.retry_after_s)
        case Unavailable():
            raise ApiError("SERVICE_UNAVAILABLE", _reason(reply), retry_after_s=reply.retry_after_s)
        case Failed():
            raise ApiError("INTERNAL_ERROR", f"incident {reply.incident}")
        case _:
            raise UnexpectedReply(type(reply).__name__)


def _reason(reply: Unavailable) -> str:
    return f"{reply.reason}; it may still turn out to be done" if reply.unknown else reply.reason
