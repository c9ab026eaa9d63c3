"""Connections over TLS, bounded also while they are in their handshake (R-SEC-4).

    accepted ── handshake done in time ──▶ the protocol's, where a door counts it
             └─ failed, too late, or the oldest of too many ──▶ closed

A loop's own server knows a handshake's time but not how many there are, and a door learns of a connection when its
handshake is done. While there are too many the next ones wait in the backlog, and the oldest gives way as soon as it
had its fair share of the time: so neither idle clients nor thousands that come at once keep those away who mean it.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

_log = logging.getLogger(__name__)

ACCEPT_PAUSE_S = 1.0
FAIR_SHARE = 0.1
"""Of a handshake's time, in which it gives way to nobody."""


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
        self._fair_s = timeout_s * FAIR_SHARE
        self._handshakes: dict[asyncio.Task[None], float] = {}  # when they began, the oldest first
        self._one_is_done = asyncio.Event()
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
                await self._room()
                try:
                    connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
                except OSError as error:  # too many open files: some will be closed
                    _log.error("cannot accept connections for a moment: %s", error)
                    await asyncio.sleep(ACCEPT_PAUSE_S)
                else:
                    self._take(connection)

    async def _room(self) -> None:
        """Waits until there is some for one more, for a fair share of the time at most."""
        while len(self._handshakes) >= self._limit:
            oldest, began = next(iter(self._handshakes.items()))
            left_s = began + self._fair_s - asyncio.get_running_loop().time()
            if left_s <= 0:
                del self._handshakes[oldest]
                oldest.cancel()
                continue
            self._one_is_done.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._one_is_done.wait()

    def _take(self, connection: socket.socket) -> None:
        handshake = asyncio.create_task(self._shake_hands(connection), name="TLS handshake")
        self._handshakes[handshake] = asyncio.get_running_loop().time()
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
        self._one_is_done.set()
        if not handshake.cancelled() and (error := handshake.exception()) is not None:
            _log.error("a TLS handshake failed", exc_info=error)
