"""The body of a journal row: which users, which events; behind a version byte (``actors.formats``)."""

from collections.abc import Sequence

import msgspec

from actors.domain.events import Event
from actors.domain.ids import UserId
from actors.formats import Entry, Formats


class UnreadableJournal(Exception):
    """A journal row of a newer release, or damaged. Nothing may be served over it."""


def encode_body(formats: Formats, entries: Sequence[Entry]) -> bytes:
    """In the version that the cluster allows."""
    form = formats.writes
    return bytes((form.version,)) + form.encode_journal(entries)


def decode_body(formats: Formats, body: bytes) -> list[tuple[UserId, list[Event]]]:
    """The entries of a row in the order they were decided; ``UnreadableJournal``."""
    form = formats.readable.get(body[0]) if body else None
    if form is None:
        raise UnreadableJournal(
            f"journal body version {body[:1].hex() or 'missing'}, this release reads {sorted(formats.readable)}"
        )
    try:
        return form.decode_journal(memoryview(body)[1:])
    except msgspec.DecodeError as damaged:
        raise UnreadableJournal(str(damaged)) from damaged
