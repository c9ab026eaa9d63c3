"""Identifiers and units.

Ids are the 16 raw bytes of a UUID: they hash and compare in C, travel unchanged in journal rows and link frames, and
take half the memory of ``uuid.UUID``. Text forms exist only at the doors.
"""

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NewType

UserId = NewType("UserId", bytes)
ProductId = NewType("ProductId", bytes)
ItemId = NewType("ItemId", bytes)
SessionId = NewType("SessionId", bytes)
ClientSessionId = NewType("ClientSessionId", bytes)
"""A UUID that a client made for play it recorded itself; unique for its user alone."""
OrderId = NewType("OrderId", bytes)
CategoryId = NewType("CategoryId", bytes)
CommandId = NewType("CommandId", bytes)

ShardId = NewType("ShardId", int)
HostId = NewType("HostId", int)
Seq = NewType("Seq", int)
Epoch = NewType("Epoch", int)
Term = NewType("Term", int)

Micros = NewType("Micros", int)
"""Service time: microseconds since 1970-01-01 UTC."""

SHARD_COUNT = 256
SECOND = 1_000_000

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_IN_UTC = datetime(1970, 1, 1)  # noqa: DTZ001 - without an offset it is written in half the time


def shard_of(user_id: UserId) -> ShardId:
    """The shard of an entity: the first byte of the SHA-256 of its id.

    The migrations define ``library_shard(uuid)`` as the same function, so that a shard's rows can be selected.
    """
    return ShardId(sha256(user_id).digest()[0])


def parse_id(text: str) -> bytes:
    """The 16 bytes of a UUID in its canonical text form; ``ValueError`` for anything else."""
    if _UUID.fullmatch(text) is None:
        raise ValueError("not a UUID")
    return bytes.fromhex(text.replace("-", ""))


def format_id(raw: bytes) -> str:
    """The canonical text form of 16 bytes."""
    h = raw.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def format_time(at: Micros) -> str:
    """RFC 3339 in UTC; microseconds only where there are any, as in the specification's examples."""
    return f"{(_EPOCH_IN_UTC + timedelta(0, 0, at)).isoformat()}Z"


def parse_time(text: str) -> Micros:
    """An RFC 3339 time with an offset; ``ValueError`` for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return from_datetime(moment)


def from_datetime(moment: datetime) -> Micros:
    """Whole microseconds, exactly: no float is involved."""
    return Micros((moment - _EPOCH) // timedelta(microseconds=1))


def to_datetime(at: Micros) -> datetime:
    """The inverse of ``from_datetime``."""
    return _EPOCH + timedelta(microseconds=at)
