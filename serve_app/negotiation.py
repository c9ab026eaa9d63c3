"""What a request's headers say about formats and tracing; each answer is remembered for a few header values."""

import re
from functools import lru_cache

from serve_app.errors import ApiError

_JSON = frozenset({"application/json", "application/vnd.api+json"})
_ANY = frozenset({"*/*", "application/*", "application/json", "application/vnd.api+json"})
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


@lru_cache(maxsize=1024)
def accepts_json(accept: bytes) -> bool:
    """Whether an ``Accept`` value admits JSON. What names JSON most closely decides (RFC 9110, 12.5.1)."""
    best = (-1, 0.0)
    for part in accept.decode("latin-1").lower().split(","):
        media, _, parameters = part.partition(";")
        if (media := media.strip()) in _ANY:
            closeness = 2 if media in _JSON else media == "application/*"
            best = max(best, (int(closeness), _quality(parameters)))
    return best[1] > 0.0


@lru_cache(maxsize=1024)
def is_json(content_type: bytes) -> bool:
    """Whether a ``Content-Type`` value is JSON in UTF-8."""
    media, _, parameters = content_type.decode("latin-1").lower().partition(";")
    if media.strip() not in _JSON:
        return False
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8"):
            return False
    return True


def check_body_type(content_type: bytes | None, content_encoding: bytes | None) -> None:
    """``ApiError`` 415 unless a body can be read as JSON."""
    if content_type is None or not is_json(content_type):
        raise ApiError("UNSUPPORTED_MEDIA_TYPE", "the body must be application/json in UTF-8")
    if content_encoding is not None and content_encoding.lower() != b"identity":
        raise ApiError("UNSUPPORTED_MEDIA_TYPE", "the body must not be compressed")


def trace_of(traceparent: bytes) -> str | None:
    """The trace id of a valid W3C ``traceparent``."""
    match = _TRACEPARENT.fullmatch(traceparent)
    return match[1].decode() if match else None


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
