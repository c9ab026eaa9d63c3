"""HTTPS by the door itself (R-SEC-3)."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from actors.certificates import CertificateFiles
from serve_app.settings import WireLimits
from tests.support.certificates import Authority
from tests.support.door import BASE, SESSIONS, OpenDoor, bearer, code_of, open_door, parse_raw, start_body


class Https:
    def __init__(self, opened: OpenDoor, context: ssl.SSLContext) -> None:
        self.opened = opened
        self.context = context
        self.client = httpx.AsyncClient(base_url=f"https://localhost:{opened.port}", verify=context, timeout=10)

    async def raw(self, sent: bytes, context: ssl.SSLContext | None = None) -> bytes:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.opened.port, ssl=context or self.context, server_hostname="localhost"
            )
            writer.write(sent)
            received = await reader.read(-1)
            writer.close()
            return received


@pytest.fixture
async def https(run_dir: Path, tmp_path: Path) -> AsyncIterator[Https]:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost")
    tls = CertificateFiles(certificate=certificate, key=key)
    async with open_door(run_dir, tls=tls, limits=WireLimits(header_timeout_s=0.3, linger_s=0.3)) as opened:
        made = Https(opened, ssl.create_default_context(cafile=authority.file))
        yield made
        await made.client.aclose()


async def test_the_door_speaks_https(https: Https) -> None:
    answer = await https.client.post(f"{SESSIONS}/start", json=start_body(), headers=bearer())
    assert answer.status_code == 201
    answer = await https.client.post(f"{SESSIONS}/{answer.json()['data']['id']}/heartbeat", headers=bearer())
    assert answer.status_code == 204


async def test_errors_on_the_wire_arrive_over_tls_too(https: Https) -> None:
    """R-ERR-1: TLS knows no half-closed connection."""
    for sent, status in ((b"nonsense\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nx: " + b"a" * 60_000, 431)):
        (answer,) = parse_raw(await https.raw(sent))
        assert answer.status_code == status
        assert code_of(answer)
    (answer,) = parse_raw(await https.raw(b"GET /healthz HTTP/1.1\r\n"))
    assert answer.status_code == 408


async def test_old_protocols_are_refused(https: Https) -> None:
    """R-SEC-3: TLS 1.2 or newer."""
    for version, works in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        if works:
            assert await https.raw(b"GET /healthz HTTP/1.0\r\n\r\n", context)
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await https.raw(b"GET /healthz HTTP/1.0\r\n\r\n", context)


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"])
async def test_a_client_that_does_not_finish_its_handshake_is_hung_up_on(https: Https, sent: bytes) -> None:
    """R-SEC-4: slow and half-open clients, and those that speak without TLS."""
    await https.opened.raw(sent)
    assert (await https.client.get(f"{BASE}/items", headers=bearer())).status_code == 200


@asynccontextmanager
async def crowded(run_dir: Path, folder: Path, header_timeout_s: float) -> AsyncIterator[Https]:
    """Five handshakes at once, each of which gives way to nobody for a tenth of the time."""
    authority = Authority(folder)
    certificate, key = authority.issue("localhost")
    limits = WireLimits(header_timeout_s=header_timeout_s, handshakes=5)
    async with open_door(run_dir, tls=CertificateFiles(certificate=certificate, key=key), limits=limits) as opened:
        made = Https(opened, ssl.create_default_context(cafile=authority.file))
        yield made
        await made.client.aclose()


async def test_of_too_many_handshakes_the_oldest_gives_way(run_dir: Path, tmp_path: Path) -> None:
    """R-SEC-4, promise 6: half-open clients are bounded in number too, and a client that means it gets through."""
    async with crowded(run_dir, tmp_path, header_timeout_s=10) as https:
        idle = [await asyncio.open_connection("127.0.0.1", https.opened.port) for _ in range(7)]
        assert (await https.client.get(f"{BASE}/items", headers=bearer())).status_code == 200
        ended = [reader.at_eof() for reader, _ in idle]
        assert ended == sorted(ended, reverse=True)
        assert 2 <= sum(ended) < 7
        await https.opened.door.drain()
        for reader, writer in idle:
            async with asyncio.timeout(5):
                assert await reader.read() == b""
            writer.close()


async def test_clients_who_come_at_once_do_not_push_each_other_out(run_dir: Path, tmp_path: Path) -> None:
    """After a restart all of them are back in the same moment."""
    async with crowded(run_dir, tmp_path, header_timeout_s=60) as https:
        request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        answers = await asyncio.gather(*(https.raw(request) for _ in range(50)))
        assert [answer.partition(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * 50
