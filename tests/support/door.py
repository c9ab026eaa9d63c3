"""A door on a free loopback port in front of ``RuleEngine``, and clients for it: httpx for the polite, raw sockets for
the rest."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt

from actors.domain.ids import ProductId, UserId, format_id
from actors.telemetry.exposition import new_registry
from serve_app.authentication import new_authenticator
from serve_app.door import Door
from serve_app.settings import AuthSettings, DoorSettings, WireLimits
from tests.support.rule_engine import RuleEngine

SECRET = b"a development secret of 32 bytes!"
USER = UserId(bytes.fromhex("7c9e6679742540de944be07fc1f90ae7"))
OTHER_USER = UserId(bytes.fromhex("11111111742540de944be07fc1f90ae7"))
GAME = ProductId(bytes.fromhex("5f1b0a523c414c0e9a570d8f3f6f2f10"))
OTHER_GAME = ProductId(bytes.fromhex("6f1b0a523c414c0e9a570d8f3f6f2f10"))
BASE = "/api/v1/library"
SESSIONS = f"{BASE}/playtime/sessions"


def token(user: UserId = USER, **claims: Any) -> str:
    """A good HS256 token; a claim given as None is left out."""
    whole = {"sub": format_id(user), "exp": int(time.time()) + 3600, **claims}
    return jwt.encode({name: value for name, value in whole.items() if value is not None}, SECRET, "HS256")


def bearer(user: UserId = USER) -> dict[str, str]:
    return {"authorization": f"Bearer {token(user)}"}


def start_body(product: ProductId = GAME, **attributes: Any) -> dict[str, Any]:
    return {"data": {"type": "playtimeSessionStart", "attributes": {"product_id": format_id(product), **attributes}}}


@dataclass
class OpenDoor:
    door: Door
    engine: RuleEngine
    client: httpx.AsyncClient
    rest_client: httpx.AsyncClient

    @property
    def port(self) -> int:
        return self.door.port

    async def start_session(self, product: ProductId = GAME, user: UserId = USER, **attributes: Any) -> str:
        answer = await self.client.post(
            f"{SESSIONS}/start", json=start_body(product, **attributes), headers=bearer(user)
        )
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["data"]["id"])

    async def raw(self, sent: bytes, *, half_close: bool = False, timeout_s: float = 10.0) -> bytes:
        """All that comes back until the door closes the connection."""
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(sent)
                if half_close:
                    writer.write_eof()
                return await reader.read(-1)
            finally:
                writer.close()


def built_door(
    run_dir: Path,
    engine: RuleEngine,
    *,
    limits: WireLimits | None = None,
    auth: AuthSettings | None = None,
    **settings: Any,
) -> Door:
    """Nobody has opened it yet."""
    registry = new_registry()
    defaults = {"host": "127.0.0.1", "port": 0, "drain_grace_s": 5.0, "drain_idle_s": 0.5}
    return Door(
        DoorSettings(run_dir=run_dir, limits=limits or WireLimits(), **{**defaults, **settings}),
        actors=engine,
        authenticator=new_authenticator(auth or AuthSettings(hs256_secret=SECRET), registry=registry),
        catalog=engine.catalog,
        downloads=engine.downloads,
        accounts=engine.accounts,
        copies=engine.copies,
        history=engine,
        service_now=engine.service_now,
        registry=registry,
    )


@asynccontextmanager
async def open_door(run_dir: Path, *, engine: RuleEngine | None = None, **settings: Any) -> AsyncIterator[OpenDoor]:
    """``settings`` are those of ``built_door``. ``rest_client`` reaches FastAPI without the fast path in front of it.
    USER owns GAME and OTHER_GAME."""
    engine = engine or RuleEngine()
    engine.buy(USER, GAME, OTHER_GAME)
    door = built_door(run_dir, engine, **settings)
    await door.start()
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{door.port}", timeout=10)
    rest = httpx.AsyncClient(transport=httpx.ASGITransport(app=door.rest), base_url="http://rest", timeout=10)
    try:
        yield OpenDoor(door, engine, client, rest)
    finally:
        await client.aclose()
        await rest.aclose()
        await door.drain()


async def until(condition: Callable[[], object], *, timeout_s: float = 10.0) -> None:
    """Waits until the condition holds; ``TimeoutError`` if it does not in time."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0.001)


def code_of(answer: httpx.Response) -> str:
    """The code of an error answer, after checking that it has the one error shape (R-ERR-1)."""
    assert answer.headers["content-type"] == "application/json", answer.text
    body = answer.json()
    assert set(body) == {"errors"}
    assert body["errors"]
    for error in body["errors"]:
        assert set(error) <= {"status", "code", "title", "detail", "source"}
        assert error["status"] == str(answer.status_code)
        assert error["title"]
        assert error["detail"]
    assert len(answer.headers["library-trace-id"]) == 32
    if answer.status_code in (429, 503):
        assert int(answer.headers["retry-after"]) >= 1
    return str(body["errors"][0]["code"])


def parse_raw(received: bytes) -> list[httpx.Response]:
    """The answers in what a raw socket received."""
    answers = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = [tuple(line.split(": ", 1)) for line in lines]
        length = int(dict(headers).get("content-length", 0))
        status = int(first.split(" ")[1])
        answers.append(httpx.Response(status, headers=headers, content=rest[:length]))
        received = rest[length:]
    return answers
