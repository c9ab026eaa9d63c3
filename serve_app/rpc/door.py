"""A gRPC door: the table of handlers on one port, with a beginning, a health and an orderly end.

    built ── start ──▶ open ── drain ──▶ draining ──▶ closed

A draining door takes no new connections, tells health checkers that it does not serve, sends streams away, and lets
calls in work finish within its grace.
"""

import asyncio
import logging
from typing import Protocol

from actors.certificates import CHECK_S, Certificates
from actors.telemetry.logs import LogBudget
from serve_app.auth import Authenticator
from serve_app.ports import UserActors
from serve_app.rpc.callers import Peers
from serve_app.rpc.grpcio_server import GrpcioServer
from serve_app.rpc.h2corn_server import H2cornServer, Listen
from serve_app.rpc.metrics import RpcMetrics
from serve_app.rpc.services.everything import everything
from serve_app.rpc.services.health import Health
from serve_app.rpc.servicing import Servicing
from serve_app.rpc.settings import RpcSettings

_log = logging.getLogger(__name__)

ERROR_LINES_PER_SECOND = 20


class RpcServer(Protocol):
    """One of the two servers."""

    async def start(self) -> int: ...
    async def renew(self) -> None: ...
    async def stop(self, grace_s: float) -> None: ...
    def failed(self) -> bool: ...


class RpcDoor:
    """Lives on the event loop that makes it. Its figures are added to ``metrics``' registry by whoever owns it."""

    def __init__(
        self,
        settings: RpcSettings,
        *,
        actors: UserActors,
        authenticator: Authenticator,
        listen: Listen,
        metrics: RpcMetrics,
    ) -> None:
        self.settings = settings
        self.port = settings.port
        self._draining = False
        self._metrics = metrics
        self._certificates = None if settings.tls is None else Certificates(settings.tls)
        health = Health(lambda: actors.map_complete and not self._draining)
        methods = everything(actors, health, command_timeout_s=settings.command_timeout_s)
        health.services |= {method.service for method in methods.values()}
        self._servicing = Servicing(
            methods,
            peers=Peers(settings.roles, plaintext=settings.tls is None),
            authenticator=authenticator,
            metrics=metrics,
            budget=LogBudget(lines_per_second=ERROR_LINES_PER_SECOND),
        )
        self._server: RpcServer
        if settings.server == "h2corn":
            self._server = H2cornServer(self._servicing, settings, listen)
        else:
            self._server = GrpcioServer(self._servicing, settings, self._certificates)
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when calls are taken; ``OSError`` if the port cannot be had, ``BadCertificate``."""
        if self._certificates is not None:
            await asyncio.to_thread(self._certificates.load)
        self.port = await self._server.start()
        if self._certificates is not None:
            self._watching = asyncio.create_task(self._watch_certificates(self._certificates))
        _log.info(
            "gRPC door open",
            extra={"host": self.settings.host, "port": self.port, "tls": self.settings.tls is not None},
        )

    async def drain(self) -> None:
        """Returns when nothing is in work any more, after ``drain_grace_s`` at the latest. May be called again."""
        if self._draining:
            return
        self._draining = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        self._servicing.end_streams()
        await self._server.stop(self.settings.drain_grace_s)
        _log.info("gRPC door closed")

    def check_health(self) -> None:
        """Raises ``RuntimeError`` when the door no longer does its work."""
        if self._draining:
            return
        if self._server.failed() or (self._watching is not None and self._watching.done()):
            raise RuntimeError("the gRPC door has ended")

    def answered(self) -> int:
        """Calls since the start, for the load figure."""
        return self._metrics.answered()

    @property
    def in_flight(self) -> int:
        return self._metrics.in_flight

    async def refresh_certificates(self) -> None:
        """Looks at the files now; new connections get what they hold."""
        if self._certificates is not None and await self._certificates.refresh():
            await self._server.renew()

    async def _watch_certificates(self, certificates: Certificates) -> None:
        unused = False
        while True:
            await asyncio.sleep(CHECK_S)
            try:
                if await certificates.refresh() or unused:
                    unused = True
                    await self._server.renew()
                    unused = False
            except Exception:  # noqa: BLE001  # a supervised loop: the former certificate stays until it works
                _log.exception("the new certificate could not be used; trying again")
