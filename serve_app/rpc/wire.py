"""gRPC's own words on HTTP/2: time-outs, messages in their frames, compression, error texts.

Lengths come before contents, so a message that is too large is refused before it is collected, and one that would
grow too large while it is unpacked is refused there.
"""

import re
import zlib
from urllib.parse import quote

from serve_app.rpc.codes import Code, RpcError, invalid

HEADER_BYTES = 5
COMPRESS_FROM_BYTES = 1_024
GZIP_WINDOW = 31
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNIT_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def parse_timeout(value: bytes) -> float:
    """``grpc-timeout`` in seconds; ``RpcError`` for what is none."""
    match = _TIMEOUT.fullmatch(value)
    if match is None:
        raise invalid("grpc-timeout", "is not a number of at most 8 digits and a unit")
    return int(match[1]) * _UNIT_S[match[2]]


def encode_message(text: str) -> bytes:
    """``grpc-message``: percent-encoded UTF-8."""
    return quote(text, safe=_PRINTABLE).encode()


def too_large(limit: int) -> RpcError:
    return RpcError(Code.RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE", f"a message of this method has at most {limit} bytes")


def malformed(what: str) -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, "MALFORMED_REQUEST", what)


def unpack(body: bytes, limit: int) -> bytes:
    """The message of a gzip stream."""
    inflating = zlib.decompressobj(GZIP_WINDOW)
    try:
        message = inflating.decompress(body, limit + 1)
    except zlib.error:
        raise malformed("a message is not compressed as it says") from None
    if len(message) > limit:
        raise too_large(limit)
    if not inflating.eof:
        raise malformed("a compressed message is cut short")
    return message


def pack(message: bytes, *, gzip: bool) -> bytes:
    """One frame; compressed if the caller takes it and it is worth it."""
    if gzip and len(message) >= COMPRESS_FROM_BYTES:
        deflating = zlib.compressobj(level=1, wbits=GZIP_WINDOW)
        message = deflating.compress(message) + deflating.flush()
        return b"\1" + len(message).to_bytes(4, "big") + message
    return b"\0" + len(message).to_bytes(4, "big") + message


class Messages:
    """Cuts a request's body into its messages. ``gzip``: flagged messages are gzip streams."""

    def __init__(self, limit: int, *, gzip: bool) -> None:
        self._limit = limit
        self._gzip = gzip
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> None:
        self._buffer += chunk

    def next(self) -> bytes | None:
        """The next whole message, None until more comes; ``RpcError``."""
        buffer = self._buffer
        if len(buffer) < HEADER_BYTES:
            return None
        size = int.from_bytes(buffer[1:HEADER_BYTES], "big")
        if size > self._limit:
            raise too_large(self._limit)
        if len(buffer) < HEADER_BYTES + size:
            return None
        body = bytes(buffer[HEADER_BYTES : HEADER_BYTES + size])
        flag = buffer[0]
        del buffer[: HEADER_BYTES + size]
        return self.content(flag, body)

    def content(self, flag: int, body: bytes) -> bytes:
        if flag == 0:
            return body
        if flag == 1 and self._gzip:
            return unpack(body, self._limit)
        raise malformed("a message has a flag that its headers do not announce")

    @property
    def rest(self) -> int:
        """Bytes of a message that is not whole."""
        return len(self._buffer)
