"""``ETag`` and 304 (R-LIB-9; RFC 9110, 13): a page that is what the client has costs no bytes.

The tag is of the body's bytes: whoever made the page, an actor or a copy, equal pages have equal tags.
"""

from hashlib import blake2b

from serve_app.outcomes import Answer, json_answer

CACHE_CONTROL = (b"cache-control", b"private, no-cache")
"""A user's own, and to be asked about each time."""


def tagged(body: bytes, if_none_match: str | None) -> Answer:
    """200 with the body and its tag, or 304 if the client has it."""
    tag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
    etag = (b"etag", tag.encode())
    if if_none_match is not None and matches(if_none_match, tag):
        return Answer(304, [etag, CACHE_CONTROL])
    return json_answer(200, body, etag, CACHE_CONTROL)


def matches(if_none_match: str, tag: str) -> bool:
    """Weak comparison, as ``If-None-Match`` has it."""
    if if_none_match.strip() == "*":
        return True
    return any(candidate.strip().removeprefix("W/") == tag for candidate in if_none_match.split(","))
