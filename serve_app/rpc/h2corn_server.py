"""The faster of the two servers: ``asgi`` over h2corn, an HTTP/2 server in Rust on this process' event loop.

A certificate is changed by a second server on the same socket: new connections meet the new one, the former goes on
with the connections it has until they are done.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import h2corn

from actors.certificates import CertificateFiles
from serve_app.rpc.asgi import GrpcApp
from serve_app.rpc.methods import Kind
from serve_app.rpc.servicing import Servicing
from serve_app.rpc.settings import RpcSettings

_log = logging.getLogger(__name__)

FORMER_GRACE_S = 3600.0
HEADER_BYTES = 16_384
WINDOW_BYTES = 1 << 20
STALL_S = 10.0
Listen = Callable[[str, int, int], socket.socket]


class H2cornServer:
    """``start`` once, then ``renew`` when the certificate's files have changed, ``stop`` once."""

    def __init__(self, servicing: Servicing, settings: RpcSettings, listen: Listen) -> None:
        self._app = GrpcApp(servicing)
        self._methods = servicing.methods.values()
        self._settings = settings
        self._listen = listen
        self._listener: socket.socket | None = None
        self._current: h2corn.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """The port, when connections are accepted; ``OSError``."""
        settings = self._settings
        self._listener = self._listen(settings.host, settings.port, settings.backlog)
        port: int = self._listener.getsockname()[1]
        self._current = await self._serve(self._listener, settings.tls)
        return port

    async def renew(self) -> None:
        """``ValueError`` or ``OSError`` when the files cannot be used: the former certificate stays."""
        if self._listener is None or self._settings.tls is None:
            return
        former, self._current = self._current, await self._serve(self._listener, self._settings.tls)
        if former is not None:
            former.shutdown()

    def failed(self) -> bool:
        """Whether nobody accepts connections any more."""
        return not self._serving

    async def stop(self, grace_s: float) -> None:
        """No new connections; returns when the calls in work are answered, after ``grace_s`` at the latest."""
        if self._current is not None:
            self._current.shutdown()
        if self._listener is not None:
            self._listener.close()
        if self._serving:
            _, late = await asyncio.wait(self._serving, timeout=grace_s)
            if late:
                _log.warning("calls are still in work; leaving them", extra={"servers": len(late)})

    async def _serve(self, listener: socket.socket, tls: CertificateFiles | None) -> h2corn.Server:
        server = h2corn.Server(self._app, self._config(listener, tls))
        task = asyncio.create_task(server.serve(), name="gRPC server")
        started = asyncio.create_task(server.wait_started(), name="gRPC server's start")
        try:
            await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
                raise OSError("the server ended at once")
            await started
        finally:
            started.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await started
        self._serving.add(task)
        task.add_done_callback(self._ended)
        return server

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._serving.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a gRPC server ended", exc_info=error)

    def _config(self, listener: socket.socket, tls: CertificateFiles | None) -> h2corn.Config:
        settings = self._settings
        secure: dict[str, Any] = {}
        if tls is not None:
            secure = {"certfile": tls.certificate, "keyfile": tls.key, "ca_certs": tls.ca, "cert_reqs": "required"}
        policies = tuple(
            h2corn.RequestPolicy(
                path=method.path,
                max_request_body_size=0,
                timeout_request_body_idle=settings.message_timeout_s,
                h2_timeout_response_stall=STALL_S,
            )
            for method in self._methods
            if method.kind is Kind.UNARY
        )
        return h2corn.Config(
            bind=(f"fd://{listener.fileno()}",),
            grpc=True,
            http1=False,
            lifespan="off",
            access_log=False,
            log_format="json",
            server_header="off",
            date_header=False,
            runtime_threads=1,
            max_concurrent_streams=settings.streams_per_connection,
            limit_connections=settings.connections,
            timeout_handshake=settings.handshake_timeout_s,
            h2_max_header_list_size=HEADER_BYTES,
            h2_max_header_block_size=HEADER_BYTES,
            h2_initial_stream_window_size=WINDOW_BYTES,
            h2_initial_connection_window_size=4 * WINDOW_BYTES,
            h2_timeout_response_stall=STALL_S,
            request_policies=policies,
            h2_timeout_write=10.0,
            timeout_graceful_shutdown=FORMER_GRACE_S,
            **secure,
        )
