"""Good requests, broken at random and cut at random: the door answers in its own words or hangs up, and lives on
(R-SEC-4, acceptance 6). A failure prints its seed."""

import asyncio
import json
import random
from pathlib import Path

import pytest

from serve_app.settings import WireLimits
from tests.support.door import BASE, SESSIONS, OpenDoor, open_door, start_body, token

LIMITS = WireLimits(header_timeout_s=0.1, body_timeout_s=0.1, idle_timeout_s=0.1, linger_s=0.1, header_bytes=2_000)
BODY = json.dumps(start_body()).encode()
ALLOWED = {b"200", b"201", b"204", b"400", b"401", b"404", b"405", b"406", b"408", b"409", b"413", b"414", b"415",
           b"422", b"431", b"503", b"100"}  # fmt: skip


def good(rng: random.Random) -> bytes:
    head = f"authorization: Bearer {token()}\r\nhost: x\r\n".encode()
    start = f"POST {SESSIONS}/start HTTP/1.1\r\n".encode() + head + b"content-type: application/json\r\n"
    return rng.choice([
        f"GET {BASE}/items?limit=3 HTTP/1.1\r\n".encode() + head + b"\r\n",
        f"POST {SESSIONS}/5f1b0a52-3c41-4c0e-9a57-0d8f3f6f2f10/heartbeat HTTP/1.1\r\n".encode() + head + b"\r\n",
        start + b"content-length: %d\r\n\r\n" % len(BODY) + BODY,
        start + b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n",
        start + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY,
        start + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY,
    ])  # fmt: skip


def broken(rng: random.Random, sent: bytes) -> bytes:
    data = bytearray(sent)
    for _ in range(rng.randrange(4)):
        place = rng.randrange(len(data))
        match rng.randrange(5):
            case 0:
                data[place] = rng.randrange(256)
            case 1:
                del data[place : place + rng.randrange(1, 20)]
            case 2:
                data[place:place] = rng.randbytes(rng.randrange(1, 20))
            case 3:
                data[place:place] = rng.choice([b"\r\n", b"\x00", b"\xff", b": ", b"chunked", b"a" * 3_000])
            case _:
                data[place:place] = data[place : place + rng.randrange(1, 200)]
        data = data or bytearray(b"G")
    return bytes(data)


async def talk(door: OpenDoor, rng: random.Random) -> bytes:
    """All that comes back; the request arrives in pieces and may be followed by others."""
    sent = b"".join(broken(rng, good(rng)) for _ in range(rng.randrange(1, 4)))
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        try:
            while sent:
                size = rng.choice([1, 7, 100, 5_000])
                writer.write(sent[:size])
                sent = sent[size:]
                if rng.random() < 0.3:
                    await asyncio.sleep(0)
            if rng.random() < 0.3:
                writer.write_eof()
            return await reader.read(-1)
        except ConnectionError:
            return b""
        finally:
            writer.close()


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_comes_the_door_keeps_its_manners(
    run_dir: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(seed)
    async with open_door(run_dir, limits=LIMITS) as door:
        for received in await asyncio.gather(*(talk(door, random.Random(rng.random())) for _ in range(40))):
            statuses = {part[:3] for part in received.split(b"HTTP/1.1 ")[1:]}
            assert statuses <= ALLOWED, f"seed {seed}: {received!r}"
        assert not [record for record in caplog.records if record.levelname == "ERROR"], f"seed {seed}"
        assert (await door.client.get("/healthz")).status_code == 200
        assert door.door.load()["in_flight"] == 0
