"""What the connections of a door share, and the phases each of them goes through (see ``http_protocol``)."""

import enum
from collections.abc import Callable, Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from serve_app.error_answers import ErrorAnswers
from serve_app.errors import ApiError
from serve_app.outcomes import Answer
from serve_app.settings import WireLimits

Headers = Sequence[tuple[bytes, bytes]]


class Phase(enum.Enum):
    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    DEAF = "deaf"


class Wire:
    """What all connections of a door share. ``draining``: each answer is the last of its connection."""

    def __init__(self, limits: WireLimits, errors: ErrorAnswers, count_refusal: Callable[[str], None]) -> None:
        self.limits = limits
        self.draining = False
        self._errors = errors
        self._count_refusal = count_refusal

    def words(self, error: ApiError, headers: Headers, always: Headers) -> bytes:
        """The last answer of a connection, counted and logged; ``headers`` are what was read of the request's."""
        self._count_refusal(error.entry.code)
        answer = self._errors.error(error, dict(headers), "refused on the wire")
        return encode_answer(answer, always, close=True)


def encode_answer(answer: Answer, always: Headers, *, close: bool) -> bytes:
    """An answer's bytes; ``always`` are the headers that every answer has, ``close`` announces the connection's end."""
    lines = [STATUS_LINE[answer.status]]
    for name, value in always:
        lines += (name, b": ", value, b"\r\n")
    for name, value in answer.headers:
        lines += (name, b": ", value, b"\r\n")
    lines.append(b"connection: close\r\n\r\n" if close else b"\r\n")
    lines.append(answer.body)
    return b"".join(lines)


class Stop(Exception):
    """Raised in a parser callback: this request is refused with ``code``."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
