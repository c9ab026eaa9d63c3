"""The open-loop client: requests leave at fixed instants, whether earlier ones were answered or not.

A request's latency counts from the instant it was meant to leave, so waiting is not hidden: neither behind a slow
service, nor in this client. How late the client itself was is recorded beside it. Connections are kept alive; while all
of them wait for answers more are opened, as another user would.
"""

import argparse
import asyncio
import gc
import sys
from array import array
from collections import deque
from pathlib import Path

GIVE_UP_S = 12.0
MAX_CONNECTIONS = 8_000
"""Then requests wait for a free one, and their latency says so."""
BROKEN, UNANSWERED = 0, -1
HEAD_END = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._number: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._client.is_free(self)

    def send(self, number: int, request: bytes) -> None:
        assert self._transport is not None
        self._number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        head = received.find(HEAD_END)
        if head < 0 or len(received) < head + len(HEAD_END) + content_length(received[:head]):
            self._received = received
            return
        self._received = b""
        number, self._number = self._number, None
        if number is not None:
            self._client.is_answered(number, int(received[9:12]))
        self._client.is_free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.is_lost(self)
        if self._number is not None:
            self._client.is_answered(self._number, BROKEN)


def content_length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return 0 if at < 0 else int(head[at + 15 :].split(b"\r\n", 1)[0])


class Client:
    """Per request: when it was meant to leave (µs after the first), how late it left, how long it took, its status."""

    def __init__(self, requests: list[bytes], port: int, *, rate: float, count: int, starts_at: float) -> None:
        self._requests = requests
        self._port = port
        self._rate = rate
        self._count = count
        self._starts_at = starts_at
        self._loop = asyncio.get_running_loop()
        self._free: deque[Connection] = deque()
        self._waiting: deque[int] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._open_now = 0
        self._next = 0
        self._left = count
        self._done = asyncio.Event()
        self.late_us = array("q", bytes(8 * count))
        self.took_us = array("q", bytes(8 * count))
        self.status = array("q", [UNANSWERED] * count)

    async def run(self, connections: int) -> None:
        for _ in range(connections):
            await self._open()
        self._loop.call_at(self._starts_at, self._tick)
        last = self._starts_at + self._count / self._rate
        try:
            async with asyncio.timeout_at(last + GIVE_UP_S):
                await self._done.wait()
        except TimeoutError:
            sys.stderr.write(f"{self._left} requests were never answered\n")
            for number, status in enumerate(self.status):
                if status == UNANSWERED:
                    self.took_us[number] = self._since(number)

    def is_free(self, connection: Connection) -> None:
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._free.append(connection)

    def is_lost(self, connection: Connection) -> None:
        self._open_now -= 1
        if connection in self._free:
            self._free.remove(connection)

    def is_answered(self, number: int, status: int) -> None:
        self.took_us[number] = self._since(number)
        self.status[number] = status
        self._left -= 1
        if not self._left:
            self._done.set()

    def _tick(self) -> None:
        due = min(self._count, int((self._loop.time() - self._starts_at) * self._rate) + 1)
        while self._next < due:
            if self._free:
                self._send(self._free.popleft(), self._next)
            else:
                self._waiting.append(self._next)
                self._open_another()
            self._next += 1
        if self._next < self._count:
            self._loop.call_at(self._starts_at + self._next / self._rate, self._tick)

    def _open_another(self) -> None:
        if self._open_now + len(self._opening) < MAX_CONNECTIONS:
            task = self._loop.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _send(self, connection: Connection, number: int) -> None:
        connection.send(number, self._requests[number % len(self._requests)])
        self.late_us[number] = self._since(number)

    def _since(self, number: int) -> int:
        return int((self._loop.time() - self._starts_at - number / self._rate) * 1e6)

    async def _open(self) -> None:
        try:
            await self._loop.create_connection(lambda: Connection(self), "127.0.0.1", self._port)
            self._open_now += 1
        except OSError as refused:
            sys.stderr.write(f"a connection was not opened: {refused}\n")


async def _run(arguments: argparse.Namespace) -> None:
    requests = [one for one in arguments.requests.read_bytes().split(b"\0") if one]
    client = Client(requests, arguments.port, rate=arguments.rate, count=arguments.count, starts_at=arguments.starts_at)
    gc.disable()
    await client.run(arguments.connections)
    with arguments.record.open("wb") as file:
        for column in (client.late_us, client.took_us, client.status):
            column.tofile(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=Path, required=True, help="requests as bytes, separated by NUL")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--record", type=Path, required=True, help="three columns of 64-bit integers, see Client")
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True, help="opened before the first request")
    parser.add_argument("--starts-at", type=float, required=True, help="the first instant, monotonic clock")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
