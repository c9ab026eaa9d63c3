"""Cursors of the session history: opaque to clients, a place in their own history to us."""

import base64
import binascii
import struct

from actors.domain.ids import Micros, SessionId
from actors.history import HistoryPosition
from serve_app.errors import ApiError
from serve_app.reading import invalid_parameter

CURSOR = "^A[A-Za-v][A-Za-z0-9_-]{30}$"
"""What they look like until the year 8820."""
_PLACE = struct.Struct(">Q16s")
_LATEST = 253_402_300_799_999_999
"""The last microsecond of the year 9999: what Postgres and Python can both tell."""


def write_cursor(position: HistoryPosition) -> str:
    return base64.urlsafe_b64encode(_PLACE.pack(position.started_at, position.session_id)).decode()


def read_cursor(text: str) -> HistoryPosition:
    """``ApiError`` for what ``write_cursor`` cannot have written."""
    try:
        started_at, session_id = _PLACE.unpack(base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True))
    except (UnicodeEncodeError, binascii.Error, struct.error):
        raise _not_a_cursor() from None
    if started_at > _LATEST:
        raise _not_a_cursor()
    return HistoryPosition(started_at=Micros(started_at), session_id=SessionId(session_id))


def _not_a_cursor() -> ApiError:
    return invalid_parameter("not a cursor of this resource", "cursor")
