"""A TCP proxy between two parts of the service that cuts, stalls and slows what passes."""

import asyncio
from collections.abc import Awaitable, Callable

Address = tuple[str, int]
CHUNK_BYTES = 65_536
CONNECT_TIMEOUT_S = 5.0


class TcpProxy:
    """``upstream`` says where to connect, asked for each connection; it may raise ``OSError``: then there is none.

    A connection that is stalled stays open and passes nothing: neither end can tell it from a slow one.
    """

    def __init__(self, upstream: Callable[[], Awaitable[Address]]) -> None:
        self._upstream = upstream
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.delay_s = 0.0
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def connections(self) -> int:
        return len(self._connections)

    def cut(self) -> None:
        """Breaks every connection; new ones are taken."""
        for connection in list(self._connections):
            connection.cancel()

    def stall(self) -> None:
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A task of our own: asyncio complains about one of its own that is cancelled."""
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind: asyncio.StreamWriter | None = None
        try:
            await self._flowing.wait()
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                answers, behind = await asyncio.open_connection(*await self._upstream())
            ways = [
                asyncio.ensure_future(self._pump(reader, behind)),
                asyncio.ensure_future(self._pump(answers, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, TimeoutError):
            return  # whoever connected sees its connection end, which is all it could see
        finally:
            for end in (writer, behind):
                if end is not None:
                    end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        await writer.drain()
