"""What the connections of a door share, and the phases each of them goes through (see ``http_protocol``)."""

import enum
from collections.abc import Callable, Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from serve_app.error_answers import ErrorAnswers
from serve_app.errors import ApiError
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
        lines = [STATUS_LINE[answer.status]]
        for name, value in (*always, *answer.headers, (b"connection", b"close")):
            lines += [name, b": ", value, b"\r\n"]
        return b"".join([*lines, b"\r\n", answer.body])


class Stop(Exception):
    """Raised in a parser callback: this request is refused with ``code``."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
