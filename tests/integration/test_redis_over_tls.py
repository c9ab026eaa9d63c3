"""The cache over TLS: Valkey behind a server that ends it and asks for our certificate (R-SEC-5)."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.development import NO_SERVERS
from cluster.settings import load_settings
from cluster.wiring.neighbours import redis_settings
from persistence.redis.connection import RedisAway, RedisCalls
from tests.support.certificates import Authority


@asynccontextmanager
async def tls_in_front(address: str, authority: Authority) -> AsyncIterator[int]:
    """The port of a server that speaks TLS and passes on what it hears."""
    host, _, port = address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("cache"))
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        await asyncio.wait(
            [asyncio.create_task(_carry(reader, inner_writer)), asyncio.create_task(_carry(inner_reader, writer))],
            return_when=asyncio.FIRST_COMPLETED,
        )
        inner_writer.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


async def test_the_cache_is_reached_over_tls_with_a_certificate_of_ours(
    redis_variables: dict[str, str], tmp_path: Path
) -> None:
    """A server of another authority, and a client without a certificate, are refused."""
    ours, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    certificate, key = ours.issue("library")
    async with tls_in_front(redis_variables["REDIS_ADDR"], ours) as port:
        secure = {
            **redis_variables,
            "REDIS_ADDR": f"127.0.0.1:{port}",
            "REDIS_USE_TLS": "true",
            "REDIS_CA_FILE": str(ours.file),
            "REDIS_CERTIFICATE_FILE": str(certificate),
            "REDIS_KEY_FILE": str(key),
        }
        assert await pings(secure)
        for change in (
            {"REDIS_CA_FILE": str(stranger.file)},
            {"REDIS_CERTIFICATE_FILE": "", "REDIS_KEY_FILE": ""},
            {"REDIS_PASSWORD": "not the password"},
        ):
            with pytest.raises(RedisAway):
                await pings({**secure, **change})


async def pings(variables: dict[str, str]) -> bool:
    settings = redis_settings(load_settings({"LIBRARY_ENVIRONMENT": "development", **NO_SERVERS, **variables}))
    assert settings is not None
    calls = RedisCalls(replace(settings, timeout_s=10.0).open())
    try:
        return bool(await calls.run(lambda redis: redis.ping()))
    finally:
        await calls.close()
