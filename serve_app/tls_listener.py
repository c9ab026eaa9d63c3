"""Connections over TLS, bounded also while they are in their handshake (R-SEC-4).

    accepted ── handshake done in time ──▶ the protocol's, where a door counts it
             └─ failed, too late, or the oldest of too many ──▶ closed

A loop's own server knows a handshake's time but not how many there are, and a door learns of a connection when its
handshake is done. Of too many the oldest gives way: a client that means it is done in a moment.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

_log = logging.getLogger(__name__)

ACCEPT_PAUSE_S = 1.0


class TlsListener:
    """Accepts from ``start`` to ``close``; connections whose handshake is done outlive it."""

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        protocol: Callable[[], asyncio.Protocol],
        *,
        handshakes: int,
        timeout_s: float,
    ) -> None:
        self._listener = listener
        self._context = context
        self._protocol = protocol
        self._limit = handshakes
        self._timeout_s = timeout_s
        self._handshakes: dict[asyncio.Task[None], None] = {}  # the oldest first
        self._accepting: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._accepting = asyncio.create_task(self._accept(), name="TLS accept")

    def close(self) -> None:
        """Returns at once; the rest ends in the loop's next turn."""
        if self._accepting is not None:
            self._accepting.cancel()
        for handshake in self._handshakes:
            handshake.cancel()

    async def _accept(self) -> None:
        with self._listener:
            while True:
                try:
                    connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
                except OSError as error:  # too many open files: some will be closed
                    _log.error("cannot accept connections for a moment: %s", error)
                    await asyncio.sleep(ACCEPT_PAUSE_S)
                else:
                    self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        if len(self._handshakes) >= self._limit:
            oldest = next(iter(self._handshakes))
            del self._handshakes[oldest]
            oldest.cancel()
        handshake = asyncio.create_task(self._shake_hands(connection), name="TLS handshake")
        self._handshakes[handshake] = None
        handshake.add_done_callback(self._done)

    async def _shake_hands(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol, connection, ssl=self._context, ssl_handshake_timeout=self._timeout_s
            )
        except OSError:
            connection.close()  # the client's doing; it speaks no TLS, is too slow, or is gone

    def _done(self, handshake: asyncio.Task[None]) -> None:
        self._handshakes.pop(handshake, None)
        if not handshake.cancelled() and (error := handshake.exception()) is not None:
            _log.error("a TLS handshake failed", exc_info=error)
