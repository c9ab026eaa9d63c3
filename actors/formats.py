"""Versions of what outlives a process or leaves it: journal bodies, outbox rows, link frames.

A release reads its own version and the one before. It writes the oldest that it reads until the cluster's flag says
that all processes run it, and refuses to run where the flag says a version it does not know (ARCHITECTURE.md,
"Versions"). Which versions this release has stands in ``actors.release`` alone.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from actors.domain.events import Event
from actors.domain.ids import UserId
from actors.domain.publishing import IntegrationEvent
from actors.domain.replies import Reply
from actors.link.calls import Call, UnknownCall

Entry = tuple[UserId, Sequence[Event]]
"""What one batch did to one user."""

NumberedReply = tuple[int, Reply]


class NewerCluster(Exception):
    """The cluster writes a version that this release does not know: it may not run beside it, or over its data."""

    def __init__(self, version: int, newest: int) -> None:
        super().__init__(f"the cluster writes version {version}, this release knows {newest} at most")
        self.version = version
        self.newest = newest


class Format(Struct, frozen=True, kw_only=True):
    """One version's shapes, without the version itself. Everything that decodes raises ``msgspec.DecodeError`` for what
    is not of this shape; ``salvage_calls`` and ``salvage_replies`` go on where one call or reply alone is not, which is
    a newer release's that uses something this one lacks."""

    version: int
    encode_journal: Callable[[Sequence[Entry]], bytes]
    decode_journal: Callable[[memoryview], list[tuple[UserId, list[Event]]]]
    encode_calls: Callable[[list[Call]], bytes]
    decode_calls: Callable[[memoryview], list[Call]]
    salvage_calls: Callable[[memoryview], list[Call | UnknownCall]]
    encode_replies: Callable[[list[NumberedReply]], bytes]
    decode_replies: Callable[[memoryview], list[NumberedReply]]
    salvage_replies: Callable[[memoryview], list[NumberedReply]]
    encode_event: Callable[[IntegrationEvent, UserId], bytes]
    message_of: Callable[[bytes], bytes]
    """From an outbox row's body to the message that Kafka gets."""


class Formats:
    """What one process reads, and what it writes now. ``writes`` only ever moves up."""

    def __init__(self, formats: Iterable[Format]) -> None:
        self.readable = {one.version: one for one in formats}
        self.newest = max(self.readable)
        self.writes = self.readable[min(self.readable)]

    def allow(self, version: int) -> None:
        """The cluster's flag: every process reads ``version``, so it may be written. ``NewerCluster`` if this one does
        not."""
        if version > self.newest:
            raise NewerCluster(version, self.newest)
        if version > self.writes.version:
            self.writes = self.readable[version]
