"""``Idempotency-Key``: a POST that is sent again with the same key gets the answer of the first one (promise 2).

As in the IETF's draft (draft-ietf-httpapi-idempotency-key-header), the value is a string in quotes; one without them is
the same key. What the key belongs to is the user, the method, the path, the query and the body's bytes. The actor
remembers it with its answer for 24 hours, durably; a refusal is not remembered, so that trying again may succeed.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from actors.domain.ids import CommandId, UserId
from actors.domain.remembering import client_key
from serve_app.errors import ApiError

HEADER = b"idempotency-key"
MAX_LENGTH = 128
PATTERN = r'"[!#-+\--\[\]-~]{1,128}"|[!#-+\--\[\]-~]{1,128}'
"""Visible ASCII without quotes, commas and backslashes."""
_KEY = re.compile(PATTERN.encode())


def command_id_of(
    headers: Iterable[tuple[bytes, bytes]], user_id: UserId, scope: Mapping[str, Any], body: bytes
) -> CommandId | None:
    """None for a request without a key; ``ApiError`` 400 for a key that is none."""
    values = [value for name, value in headers if name == HEADER]
    if not values:
        return None
    if len(values) > 1 or _KEY.fullmatch(values[0]) is None:
        raise ApiError(
            "VALIDATION_ERROR",
            f"Idempotency-Key must be one string of 1 to {MAX_LENGTH} visible ASCII characters without quotes, "
            "commas and backslashes in it",
        )
    line = f"{scope['method']} {scope['path']}?".encode() + bytes(scope["query_string"])
    return client_key(user_id, values[0].strip(b'"'), line + b"\n" + body)
