"""Length-prefixed frames: four bytes of length, a version byte, a kind byte, a body.

Calls and replies have the shape of their frame's version (``actors.formats``); the handshake looks the same in all.
"""

import asyncio
from enum import IntEnum
from typing import cast

import msgspec

from actors.formats import Format, Formats

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


class BadFrame(Exception):
    """The peer speaks another language, another version, or too long. The link is closed."""


encode = msgspec.msgpack.Encoder().encode


def frame(version: int, kind: Kind, body: bytes = b"") -> bytes:
    return b"".join(((len(body) + 2).to_bytes(4, "big"), bytes((version, kind)), body))


class FrameProtocol(asyncio.Protocol):
    """Cuts the stream into frames. A subclass answers ``on_frame`` and may raise ``BadFrame``: the link is closed."""

    transport: asyncio.Transport

    def __init__(self, formats: Formats, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._formats = formats
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
                form = self._formats.readable.get(view[at + 4])
                if form is None:
                    raise BadFrame(f"frame version {view[at + 4]}, this release reads {sorted(self._formats.readable)}")
                self.on_frame(view[at + 5], view[at + 6 : at + 4 + length], form)
                at += 4 + length
        except BadFrame as bad:
            self.on_bad_frame(bad)
            return
        self._pending = bytearray(view[at:])

    def send(self, kind: Kind, body: bytes = b"") -> None:
        """In the version that the cluster allows: ``body`` was encoded by it."""
        self.transport.write(frame(self._formats.writes.version, kind, body))

    def on_frame(self, kind: int, body: memoryview, form: Format) -> None:
        raise NotImplementedError

    def on_bad_frame(self, bad: BadFrame) -> None:
        self._pending.clear()
        self.transport.abort()
