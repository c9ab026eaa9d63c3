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
    """Raises ``error_of`` the reply."""
    raise error_of(reply)


def error_of(reply: Reply) -> ApiError:
    """The error of a reply that is not what was asked for; ``UnexpectedReply`` for one that is no refusal either."""
    match reply:
        case Refused():
            return ApiError(reply.code, reply.detail)
        case Overloaded():
            return ApiError("SERVICE_UNAVAILABLE", f"overloaded: {reply.bound}", retry_after_s=reply.retry_after_s)
        case Unavailable():
            return ApiError("SERVICE_UNAVAILABLE", _reason(reply), retry_after_s=reply.retry_after_s)
        case Failed():
            return ApiError("INTERNAL_ERROR", f"incident {reply.incident}")
        case _:
            raise UnexpectedReply(type(reply).__name__)


def _reason(reply: Unavailable) -> str:
    return f"{reply.reason}; it may still turn out to be done" if reply.unknown else reply.reason
