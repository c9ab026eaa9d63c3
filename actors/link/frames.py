"""Length-prefixed msgpack frames: four bytes of length, a version byte, a kind byte, a body."""

import asyncio
from enum import IntEnum
from typing import cast

import msgspec
from msgspec import Struct

from actors.domain.commands import Command
from actors.domain.ids import CommandId, Term, UserId
from actors.domain.replies import Reply

VERSION = 1
MAX_FRAME_BYTES = 4 * 2**20


class Kind(IntEnum):
    HELLO = 1
    PROOF = 2
    WELCOME = 3
    REJECT = 4
    CALLS = 5
    REPLIES = 6
    PING = 7
    PONG = 8


class Call(Struct, frozen=True, array_like=True, gc=False):
    """A command on the wire. ``ms_left`` is the time its caller still waits; ``term`` what the caller's map says."""

    call_id: int
    ms_left: int
    term: Term
    user_id: UserId
    command: Command
    command_id: CommandId | None = None
    trace: str | None = None


class BadFrame(Exception):
    """The peer speaks another language, another version, or too long. The link is closed."""


_encoder = msgspec.msgpack.Encoder()
_calls: msgspec.msgpack.Decoder[list[Call]] = msgspec.msgpack.Decoder(list[Call])
_replies: msgspec.msgpack.Decoder[list[tuple[int, Reply]]] = msgspec.msgpack.Decoder(list[tuple[int, Reply]])
_HEADERS = {kind: bytes([VERSION, kind]) for kind in Kind}

encode = _encoder.encode


def frame(kind: Kind, body: bytes = b"") -> bytes:
    return (len(body) + 2).to_bytes(4, "big") + _HEADERS[kind] + body


def decode_calls(body: memoryview) -> list[Call]:
    """``BadFrame`` for anything that is not a list of calls."""
    try:
        return _calls.decode(body)
    except msgspec.DecodeError as damaged:
        raise BadFrame(str(damaged)) from damaged


def decode_replies(body: memoryview) -> list[tuple[int, Reply]]:
    """``BadFrame`` for anything that is not a list of replies."""
    try:
        return _replies.decode(body)
    except msgspec.DecodeError as damaged:
        raise BadFrame(str(damaged)) from damaged


class FrameProtocol(asyncio.Protocol):
    """Cuts the stream into frames. A subclass answers ``on_frame`` and may raise ``BadFrame``: the link is closed."""

    transport: asyncio.Transport

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max = max_frame_bytes
        self._pending = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are not subclasses

    def data_received(self, data: bytes) -> None:
        if self._pending:
            self._pending += data
            data = bytes(self._pending)
        view, at, end = memoryview(data), 0, len(data)
        try:
            while end - at >= 4:
                length = int.from_bytes(view[at : at + 4], "big")
                if not 2 <= length <= self._max:
                    raise BadFrame(f"a frame of {length} bytes")
                if end - at - 4 < length:
                    break
                if view[at + 4] != VERSION:
                    raise BadFrame(f"frame version {view[at + 4]}, this release speaks {VERSION}")
                self.on_frame(view[at + 5], view[at + 6 : at + 4 + length])
                at += 4 + length
        except BadFrame as bad:
            self.on_bad_frame(bad)
            return
        self._pending = bytearray(view[at:])

    def send(self, kind: Kind, body: bytes = b"") -> None:
        self.transport.write(frame(kind, body))

    def on_frame(self, kind: int, body: memoryview) -> None:
        raise NotImplementedError

    def on_bad_frame(self, bad: BadFrame) -> None:
        self._pending.clear()
        self.transport.abort()
