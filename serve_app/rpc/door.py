"""A gRPC door: the table of handlers on one port, with a beginning, a health and an orderly end.

    built ── start ──▶ open ── drain ──▶ draining ──▶ closed

A draining door takes no new connections, tells health checkers that it does not serve, sends streams away, and lets
calls in work finish within its grace.
"""

import asyncio
import logging
from typing import Protocol

from prometheus_client import CollectorRegistry

from actors.certificates import CHECK_S, Certificates
from actors.supervised import supervised
from actors.telemetry.logs import LogBudget
from serve_app.auth import Authenticator
from serve_app.door import ERROR_LINES_PER_SECOND, LoadMeter
from serve_app.http_server import listen
from serve_app.ports import ManyActors
from serve_app.rpc.callers import Peers
from serve_app.rpc.grpcio_server import GrpcioServer
from serve_app.rpc.h2corn_server import H2cornServer, Listen
from serve_app.rpc.metrics import RpcMetrics
from serve_app.rpc.services.everything import everything
from serve_app.rpc.services.health import Health
from serve_app.rpc.servicing import Servicing
from serve_app.rpc.settings import RpcSettings

_log = logging.getLogger(__name__)


class RpcServer(Protocol):
    """One of the two servers."""

    async def start(self) -> int: ...
    async def renew(self) -> None: ...
    async def stop(self, grace_s: float) -> None: ...
    def failed(self) -> bool: ...


class RpcDoor:
    """Lives on the event loop that makes it; its figures are added to ``registry``."""

    def __init__(
        self,
        settings: RpcSettings,
        *,
        actors: ManyActors,
        authenticator: Authenticator,
        registry: CollectorRegistry,
        listen: Listen = listen,
    ) -> None:
        self.settings = settings
        self.port = settings.port
        self._draining = False
        self._metrics = RpcMetrics()
        registry.register(self._metrics)
        self._load = LoadMeter(self._metrics)
        self._authenticator = authenticator
        self._certificates = None if settings.tls is None else Certificates(settings.tls)
        health = Health(lambda: actors.map_complete and not self._draining)
        methods = everything(actors, health, command_timeout_s=settings.command_timeout_s)
        health.services |= {method.service for method in methods.values()}
        self._servicing = Servicing(
            methods,
            peers=Peers(settings.roles, plaintext=settings.tls is None),
            authenticator=authenticator,
            metrics=self._metrics,
            budget=LogBudget(lines_per_second=ERROR_LINES_PER_SECOND),
        )
        self.methods = methods
        self._server: RpcServer
        if settings.server == "h2corn":
            self._server = H2cornServer(self._servicing, settings, listen)
        else:
            self._server = GrpcioServer(self._servicing, settings, self._certificates)
        self._tasks: list[asyncio.Task[None]] = []
        self._unused_certificate = False

    async def start(self) -> None:
        """Returns when calls are taken; ``OSError`` if the port cannot be had, ``BadCertificate``."""
        await self._authenticator.refresh_keys()
        if self._certificates is not None:
            await asyncio.to_thread(self._certificates.load)
        self.port = await self._server.start()
        work = [
            ("load figure", self._load.tick, 1.0),
            ("key check", self._authenticator.refresh_keys, self._authenticator.keys_check_s),
            ("certificate", self.refresh_certificates, CHECK_S),
        ]
        self._tasks = [asyncio.create_task(supervised(name, act, every_s), name=name) for name, act, every_s in work]
        _log.info(
            "gRPC door open",
            extra={"host": self.settings.host, "port": self.port, "tls": self.settings.tls is not None},
        )

    async def drain(self) -> None:
        """Returns when nothing is in work any more, after ``drain_grace_s`` at the latest. May be called again."""
        if self._draining:
            return
        self._draining = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._servicing.end_streams()
        await self._server.stop(self.settings.drain_grace_s)
        _log.info("gRPC door closed")

    def check_health(self) -> None:
        """Raises ``RuntimeError`` when the door no longer does its work."""
        if self._draining:
            return
        dead = [task.get_name() for task in self._tasks if task.done()]
        if self._server.failed() or dead:
            raise RuntimeError(f"the gRPC door has ended: {dead or 'its server'}")

    def load(self) -> dict[str, float]:
        """For scaling: calls in work, calls answered in the last second."""
        return {"in_flight": float(self._metrics.in_flight), "requests_per_s": self._load.requests_per_s}

    @property
    def in_flight(self) -> int:
        """Calls in work, streams included."""
        return self._metrics.in_flight

    async def refresh_certificates(self) -> None:
        """Looks at the files now; new connections get what they hold. What cannot be used is tried again later."""
        if self._certificates is not None and (await self._certificates.refresh() or self._unused_certificate):
            self._unused_certificate = True
            await self._server.renew()
            self._unused_certificate = False
