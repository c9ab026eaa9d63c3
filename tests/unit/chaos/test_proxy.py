"""The proxy that stands between the parts of a service under `library chaos`: it must pass, break and hold what it
says, or the faults are none."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cluster.chaos.proxy import Address, TcpProxy

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1024):
        writer.write(data)
    writer.close()


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[TcpProxy]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    address: Address = server.sockets[0].getsockname()

    async def upstream() -> Address:
        return address

    made = TcpProxy(upstream)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
        server.close()


async def connected(proxy: TcpProxy) -> Connection:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await said(reader, writer, b"hello") == b"hello"
    return reader, writer


async def said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, words: bytes) -> bytes:
    writer.write(words)
    return await reader.readexactly(len(words))


async def test_a_cut_breaks_every_connection_and_new_ones_are_taken(proxy: TcpProxy) -> None:
    reader, writer = await connected(proxy)
    proxy.cut()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()
    _, again = await connected(proxy)
    again.close()


async def test_a_stalled_connection_stays_open_and_passes_nothing_until_it_flows(proxy: TcpProxy) -> None:
    reader, writer = await connected(proxy)
    proxy.stall()
    writer.write(b"words")
    answer = asyncio.create_task(reader.readexactly(5))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(answer), 0.2)
    proxy.flow()
    assert await answer == b"words"
    writer.close()


async def test_what_is_slow_arrives_all_the_same_and_in_order(proxy: TcpProxy) -> None:
    reader, writer = await connected(proxy)
    proxy.delay_s = 0.01
    for number in range(5):
        assert await said(reader, writer, b"%d" % number) == b"%d" % number
    writer.close()


async def test_an_upstream_that_is_away_ends_the_connection(proxy: TcpProxy) -> None:
    async def nowhere() -> Address:
        raise ConnectionRefusedError

    other = TcpProxy(nowhere)
    await other.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", other.port)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()
    await other.close()
