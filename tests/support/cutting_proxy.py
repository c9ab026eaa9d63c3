"""A TCP proxy in front of Postgres that breaks connections at a chosen moment, to make outcomes really unknown.

It reads just enough of the protocol to know a session by its ``application_name`` and a message by its bytes.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto

SSL_REQUEST = 80877103
CANCEL_REQUEST = 80877102
READY = b"Z\x00\x00\x00\x05I"
COMMIT = b"commit\x00"
"""As a simple query ends; the statement that carries it."""


class Cut(Enum):
    """When a message is cut: the server never sees it; it has answered it, but the client never hears; or it reaches
    the server only after ``release``, whatever the client did meanwhile."""

    BEFORE = auto()
    AFTER = auto()
    HELD = auto()


@dataclass
class Plan:
    """For the next message that contains ``marker``, on a session whose name ends with ``session``."""

    session: str
    marker: bytes
    cut: Cut
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    delivered: asyncio.Event = field(default_factory=asyncio.Event)


class CuttingProxy:
    """``port`` is where to connect instead. ``cancel_requests`` counts those that clients have sent."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._plans: list[Plan] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.cancel_requests = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["CuttingProxy"]:
        self._server = await asyncio.start_server(self._start, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self.refuse()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def refuse(self) -> None:
        """Breaks every connection and takes no more."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.cancel()

    def plan(self, session: str, cut: Cut, marker: bytes = b"") -> Plan:
        plan = Plan(session, marker, cut)
        self._plans.append(plan)
        return plan

    def _start(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A task of our own: asyncio complains about one of its own that is cancelled."""
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_writer: asyncio.StreamWriter | None = None
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream)
            name = await self._introduce(reader, writer, upstream_reader, upstream_writer)
            await self._carry(name, reader, writer, upstream_reader, upstream_writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for each in (writer, upstream_writer):
                if each is not None:
                    each.transport.abort()

    async def _introduce(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream_writer: asyncio.StreamWriter,
    ) -> str:
        """Passes the first packets on; the session's application name, empty for a cancel request."""
        while True:
            head = await reader.readexactly(8)
            length, code = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
            rest = await reader.readexactly(length - 8)
            upstream_writer.write(head + rest)
            if code == CANCEL_REQUEST:
                self.cancel_requests += 1
                return ""
            if code != SSL_REQUEST:
                words = rest.split(b"\0")
                return words[words.index(b"application_name") + 1].decode() if b"application_name" in words else ""
            writer.write(await upstream_reader.readexactly(1))

    async def _carry(
        self,
        name: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream_writer: asyncio.StreamWriter,
    ) -> None:
        back = asyncio.create_task(_pump(upstream_reader, writer))
        try:
            while data := await reader.read(65536):
                plan = self._take_plan(name, data)
                if plan is None:
                    upstream_writer.write(data)
                    await upstream_writer.drain()
                    continue
                plan.arrived.set()
                if plan.cut is Cut.BEFORE:
                    return
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)
                if plan.cut is Cut.HELD:
                    await plan.released.wait()
                upstream_writer.write(data)
                with suppress(OSError):
                    await _until_ready(upstream_reader)
                plan.delivered.set()
                return
        finally:
            back.cancel()

    def _take_plan(self, name: str, data: bytes) -> Plan | None:
        for plan in self._plans:
            if name.endswith(plan.session) and plan.marker in data:
                self._plans.remove(plan)
                return plan
        return None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.transport.abort()
    except OSError:
        writer.transport.abort()


async def _until_ready(reader: asyncio.StreamReader) -> None:
    """Until the server has answered the message, or has gone."""
    received = b""
    while data := await reader.read(65536):
        received = (received + data)[-len(READY) :]
        if received == READY:
            return
