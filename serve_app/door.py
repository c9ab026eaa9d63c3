"""An HTTP door: all of ``serve_app`` on one socket, with a beginning, a health and an orderly end.

    built ── start ──▶ open ── drain ──▶ draining ──▶ closed

A draining door takes no new connections, says ``Connection: close`` with each answer, gives quiet clients a moment to
hear it, and lets what is in work finish within its grace.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import uvicorn
from prometheus_client import CollectorRegistry

from actors.certificates import CHECK_S, Certificates
from actors.copies.answering import LibraryPages
from actors.copies.ports import CopyReader
from actors.history import SessionHistory
from actors.ports import Accounts, Catalog, Downloads
from actors.supervised import supervised
from actors.telemetry.exposition import MetricsSocket
from actors.telemetry.logs import LogBudget
from actors.telemetry.merge import NodeMetrics
from actors.titles import CatalogTitles
from serve_app.auth import Authenticator
from serve_app.beat_lane import BeatLane
from serve_app.error_answers import ErrorAnswers
from serve_app.fast_path import FastPath, SessionEndpoint
from serve_app.http_protocol import BoundedHttpProtocol
from serve_app.http_server import HttpServer, listen
from serve_app.metrics import DoorMetrics
from serve_app.ports import ServiceClock, UserActors
from serve_app.rate_limits import RateLimits
from serve_app.rest.app import rest_app
from serve_app.rest.services import Services
from serve_app.session_calls import SessionCalls
from serve_app.settings import DoorSettings
from serve_app.wire import Wire

_log = logging.getLogger(__name__)

ERROR_LINES_PER_SECOND = 20


class Door:
    """Lives on the event loop that calls ``start``. ``registry`` is the process' own; the door adds its figures and
    shows all of it to the node."""

    def __init__(
        self,
        settings: DoorSettings,
        *,
        actors: UserActors,
        authenticator: Authenticator,
        catalog: Catalog,
        downloads: Downloads,
        accounts: Accounts,
        copies: CopyReader | None = None,
        history: SessionHistory,
        service_now: ServiceClock,
        registry: CollectorRegistry,
    ) -> None:
        self.settings = settings
        self._metrics = DoorMetrics()
        errors = ErrorAnswers(LogBudget(lines_per_second=ERROR_LINES_PER_SECOND))
        self._wire = Wire(settings.limits, errors, self._metrics.count_wire_refusal)
        self._authenticator = authenticator
        rates = RateLimits(settings.rates, time.monotonic)
        endpoint = SessionEndpoint(
            SessionCalls(actors, command_timeout_s=settings.command_timeout_s),
            authenticator,
            rates,
            body_bytes=settings.limits.body_bytes,
        )
        pages = LibraryPages(actors, copies, CatalogTitles(catalog, time.monotonic))
        self._metrics.stale_pages = lambda: pages.served_from_copies
        node_metrics = NodeMetrics(settings.run_dir, timeout_s=settings.scrape_timeout_s)
        self.rest = rest_app(
            Services(
                actors=actors,
                pages=pages,
                catalog=catalog,
                downloads=downloads,
                accounts=accounts,
                history=history,
                service_now=service_now,
                sessions=endpoint,
                authenticator=authenticator,
                rates=rates,
                errors=errors,
                metrics_page=node_metrics.page,
                accepting=lambda: not self._wire.draining,
                command_timeout_s=settings.command_timeout_s,
            )
        )
        self.app = FastPath(endpoint, self.rest, errors, self._metrics)
        self._lane = BeatLane(
            actors, authenticator, rates, errors, self._metrics, command_timeout_s=settings.command_timeout_s
        )
        registry.register(self._metrics)
        self._metrics_socket = MetricsSocket(registry, run_dir=settings.run_dir, process=settings.process)
        self._load = LoadMeter(self._metrics)
        self._certificates = None if settings.tls is None else Certificates(settings.tls, alpn=("http/1.1",))
        self._server: HttpServer | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.port = settings.port

    async def start(self) -> None:
        """Returns when the door accepts connections; ``OSError`` if the port cannot be had, ``BadCertificate``."""
        await self._authenticator.refresh_keys()
        if self._certificates is not None:
            await asyncio.to_thread(self._certificates.load)
        listener = listen(self.settings.host, self.settings.port, self.settings.backlog)
        await self._metrics_socket.start()
        self.port = listener.getsockname()[1]
        self._server = HttpServer(self._config(), self._certificates, self.settings.limits)
        self._metrics.connections = lambda: len(self._connections())
        await self._server.open(listener)
        await self._load.tick()
        work: list[tuple[str, Callable[[], Awaitable[object]], float]] = [
            ("sweeper", self._sweep, self._sweep_every_s()),
            ("date header", self._server.tick, 1.0),
            ("load figure", self._load.tick, 1.0),
            ("key check", self._authenticator.refresh_keys, self._authenticator.keys_check_s),
        ]
        if self._certificates is not None:
            work.append(("certificate", self._certificates.refresh, CHECK_S))
        self._tasks = [asyncio.create_task(supervised(name, act, every_s), name=name) for name, act, every_s in work]
        _log.info("door open", extra={"host": self.settings.host, "port": self.port})

    @property
    def accepting(self) -> bool:
        """Whether the door takes connections: from ``start`` until ``drain``."""
        return self._server is not None and not self._wire.draining

    async def drain(self) -> None:
        """Returns when nothing is in work any more, after ``drain_grace_s`` at the latest. May be called again."""
        if self._wire.draining or self._server is None:
            self._wire.draining = True
            return
        self._wire.draining = True
        _log.info("door draining", extra={"connections": len(self._connections())})
        self._server.stop_accepting()
        settings = self.settings
        await self._until_closed(settings.drain_idle_s)
        for connection in self._connections():
            connection.shutdown()
        await self._until_closed(settings.drain_grace_s - settings.drain_idle_s)
        for connection in self._connections():
            connection.transport.abort()
        await self._close()
        _log.info("door closed")

    def check_health(self) -> None:
        """Raises ``RuntimeError`` when the door no longer does its work."""
        if self._server is None:
            raise RuntimeError("the door was not started")
        dead = [task for task in self._tasks if task.done()]
        if dead and not self._wire.draining:
            raise RuntimeError(f"a task of the door has ended: {dead[0].get_name()}")

    def load(self) -> dict[str, float]:
        """For scaling: requests in work, requests answered in the last second, connections."""
        return {
            "in_flight": float(self._metrics.in_flight),
            "requests_per_s": self._load.requests_per_s,
            "connections": float(len(self._connections())),
        }

    def _connections(self) -> list[BoundedHttpProtocol]:
        return [] if self._server is None else self._server.connections()

    async def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in self._connections():
            connection.sweep(now)

    def _sweep_every_s(self) -> float:
        limits = self.settings.limits
        shortest = min(limits.header_timeout_s, limits.body_timeout_s, limits.idle_timeout_s, limits.linger_s)
        return min(1.0, shortest / 4)

    async def _until_closed(self, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while self._connections() and loop.time() < deadline:  # noqa: ASYNC110  # once in a door's life
            await asyncio.sleep(0.02)

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._metrics_socket.close()

    def _config(self) -> uvicorn.Config:
        def protocol(**arguments: Any) -> BoundedHttpProtocol:
            return BoundedHttpProtocol(self._wire, self._lane, **arguments)

        return uvicorn.Config(
            self.app,
            interface="asgi3",
            http=protocol,  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=self.settings.backlog,
        )


class Answering(Protocol):
    """What counts requests that were answered since the start."""

    def answered(self) -> int: ...


class LoadMeter:
    """Requests a second, over the last whole interval between ticks."""

    def __init__(self, metrics: Answering) -> None:
        self._metrics = metrics
        self._answered = 0
        self._at: float | None = None
        self.requests_per_s = 0.0

    async def tick(self) -> None:
        now, answered = asyncio.get_running_loop().time(), self._metrics.answered()
        if self._at is not None and now > self._at:
            self.requests_per_s = (answered - self._answered) / (now - self._at)
        self._at, self._answered = now, answered
