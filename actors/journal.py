"""The body of a journal row: which users, which events; behind a version byte.

A release reads its own version and the one before, and refuses to start on a newer one.
"""

from collections.abc import Sequence

import msgspec

from actors.domain.events import Event
from actors.domain.ids import UserId

VERSION = 1
READABLE = frozenset({VERSION})

Entry = tuple[UserId, Sequence[Event]]

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[list[tuple[UserId, list[Event]]]] = msgspec.msgpack.Decoder(
    list[tuple[UserId, list[Event]]]
)
_PREFIX = bytes([VERSION])


class UnreadableJournal(Exception):
    """A journal row of a newer release, or damaged. Nothing may be served over it."""


def encode_body(entries: Sequence[Entry]) -> bytes:
    return _PREFIX + _encoder.encode(entries)


def decode_body(body: bytes) -> list[tuple[UserId, list[Event]]]:
    """The entries of a row in the order they were decided; ``UnreadableJournal``."""
    if not body or body[0] not in READABLE:
        raise UnreadableJournal(f"journal body version {body[:1].hex() or 'missing'}, this release reads {VERSION}")
    try:
        return _decoder.decode(memoryview(body)[1:])
    except msgspec.DecodeError as damaged:
        raise UnreadableJournal(str(damaged)) from damaged
