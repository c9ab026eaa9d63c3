"""Connections in memory: bytes arrive in order and late, ends are heard, and a connection can be cut.

What is written is delivered after a random while. A cut loses what is on the way, both ways. A peer that was killed is
heard as a connection that was lost; a frozen one just does not answer.
"""

import asyncio
import contextvars
from collections.abc import Callable
from random import Random
from typing import Any

from tests.simulation.processes import current_process


class Pipe(asyncio.Transport):
    """One end of a connection, for the protocol that reads there, in its process."""

    def __init__(self, network: "Network", number: int, protocol: Any, context: contextvars.Context) -> None:
        super().__init__()
        self._network = network
        self._number = number
        self._protocol = protocol
        self._context = context
        self._inbox: list[bytes] = []
        self._reading = True
        self._closing = False
        self._lost = False
        self._last_arrival = 0.0
        self.peer: Pipe | None = None
        process = current_process(context)
        self.owner = "" if process is None else process.name
        if process is not None:
            process.on_end.append(self._process_ended)

    @property
    def ends(self) -> tuple[str, str]:
        """The processes that it connects."""
        return self.owner, "" if self.peer is None else self.peer.owner

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closing and self.peer is not None:
            self.peer.deliver(bytes(data))

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """What was written before arrives still, then the peer hears the end."""
        if not self._closing:
            self._closing = True
            if self.peer is not None:
                self.peer.end()
            self._soon(self._lose, None)

    def abort(self) -> None:
        self.close()

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        inbox, self._inbox = self._inbox, []
        for data in inbox:
            self._receive(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def deliver(self, data: bytes) -> None:
        """From the peer: arrives later, in order."""
        self._later(self._receive, data)

    def end(self) -> None:
        """The peer has closed: heard after what it wrote."""
        self._later(self._lose, None)

    def cut(self) -> None:
        """The connection is lost; what is on the way is gone."""
        self._closing = True
        self._soon(self._lose, ConnectionResetError("cut"))

    def _later(self, callback: Callable[..., None], *args: Any) -> None:
        loop = self._network.loop
        self._last_arrival = max(self._last_arrival, loop.time() + self._network.latency_s())
        loop.call_at(self._last_arrival, callback, *args, context=self._context)

    def _soon(self, callback: Callable[..., None], *args: Any) -> None:
        self._network.loop.call_soon(callback, *args, context=self._context)

    def _receive(self, data: bytes) -> None:
        if self._lost or self._closing:
            return
        if self._reading:
            self._protocol.data_received(data)
        else:
            self._inbox.append(data)

    def _lose(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        self._closing = True
        self._network.pipes.pop(self._number, None)
        self._protocol.connection_lost(error)

    def _process_ended(self) -> None:
        """The kernel closes the sockets of a process that was killed."""
        if not self._lost:
            self._closing = True
            self._lost = True
            self._network.pipes.pop(self._number, None)
            if self.peer is not None:
                self.peer.end()


class Listener:
    """What ``create_server`` gives: an address, until it is closed or its process ends."""

    def __init__(self, network: "Network", factory: Callable[[], Any], port: int) -> None:
        self._network = network
        self._port = port
        self.factory = factory
        self.context = contextvars.copy_context()
        self.sockets = [self]
        if (process := current_process()) is not None:
            process.on_end.append(self.close)

    def getsockname(self) -> tuple[str, int]:
        return ("memory", self._port)

    def close(self) -> None:
        self._network.listeners.pop(self._port, None)


class Network:
    """All connections of a simulation. Made before the loop, which then owns it."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, random: Random) -> None:
        self._random = random
        self._next = 1
        self.listeners: dict[int, Listener] = {}
        self.pipes: dict[int, Pipe] = {}

    def latency_s(self) -> float:
        """Mostly under a millisecond, now and then a good part of a second."""
        if self._random.random() < 0.002:
            return self._random.uniform(0.05, 0.3)
        return self._random.uniform(1e-5, 8e-4)

    def listen(self, factory: Callable[[], Any]) -> Listener:
        port = self._number()
        self.listeners[port] = Listener(self, factory, port)
        return self.listeners[port]

    async def connect(self, factory: Callable[[], Any], port: int) -> tuple[Pipe, Any]:
        """``ConnectionRefusedError`` when nobody listens there. A frozen listener's kernel accepts all the same."""
        await asyncio.sleep(self.latency_s())
        listener = self.listeners.get(port)
        if listener is None:
            raise ConnectionRefusedError(f"nobody listens on {port}")
        client_protocol = factory()
        server_protocol = listener.context.copy().run(listener.factory)
        client = self._pipe(client_protocol, contextvars.copy_context())
        server = self._pipe(server_protocol, listener.context)
        client.peer, server.peer = server, client
        client_protocol.connection_made(client)
        self.loop.call_soon(server_protocol.connection_made, server, context=listener.context)
        return client, client_protocol

    def cut_some(self, share: float, *, but: str | None = None) -> int:
        """Breaks about that share of all connections, but for those of a process of that name; how many ends."""
        chosen = [pipe for pipe in list(self.pipes.values()) if self._random.random() < share and but not in pipe.ends]
        for pipe in chosen:
            pipe.cut()
            if pipe.peer is not None:
                pipe.peer.cut()
        return len(chosen)

    def _pipe(self, protocol: Any, context: contextvars.Context) -> Pipe:
        number = self._number()
        pipe = self.pipes[number] = Pipe(self, number, protocol, context)
        return pipe

    def _number(self) -> int:
        self._next += 1
        return self._next
