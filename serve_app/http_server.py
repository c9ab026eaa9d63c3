"""The sockets of an HTTP door: uvicorn's server over ours, in the clear or over TLS."""

import asyncio
import socket
from typing import Any

import uvicorn

from actors.certificates import Certificates
from serve_app.http_protocol import BoundedHttpProtocol
from serve_app.settings import WireLimits
from serve_app.tls_listener import TlsListener


class HttpServer(uvicorn.Server):
    """uvicorn's server without its main loop and signal handlers: the door decides when it begins and ends."""

    def __init__(self, config: uvicorn.Config, certificates: Certificates | None, limits: WireLimits) -> None:
        super().__init__(config)
        self._certificates = certificates
        self._limits = limits
        self._listening: asyncio.Server | TlsListener | None = None

    async def open(self, listener: socket.socket) -> None:
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.on_tick(0)

        def protocol() -> asyncio.Protocol:
            kind: Any = self.config.http_protocol_class
            connection: asyncio.Protocol = kind(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return connection

        if self._certificates is None:
            loop = asyncio.get_running_loop()
            self._listening = await loop.create_server(protocol, sock=listener, backlog=self.config.backlog)
        else:
            limits = self._limits
            self._listening = TlsListener(
                listener,
                self._certificates.server_context,
                protocol,
                handshakes=limits.handshakes,
                timeout_s=limits.header_timeout_s,
            )
            self._listening.start()
        self.started = True

    async def tick(self) -> None:
        await self.on_tick(0)

    def connections(self) -> list[BoundedHttpProtocol]:
        return list(self.server_state.connections)  # type: ignore[arg-type]

    def stop_accepting(self) -> None:
        if self._listening is not None:
            self._listening.close()
        for connection in self.connections():
            connection.announce_end()


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """A listening socket that others may share the port of: the kernel spreads connections over them."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
