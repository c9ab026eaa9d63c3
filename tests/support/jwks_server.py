"""A JWKS address on loopback that can be slow, wrong or away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


class JwksServer:
    """``asked`` counts requests; ``hold`` keeps answers back until it is set."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.status = 200
        self.body: bytes | None = None
        self.asked = 0
        self.hold: asyncio.Event | None = None
        self.url = ""

    async def answer(self, _: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.hold is not None:
            await self.hold.wait()
        if self.status in (301, 302):
            return web.Response(status=self.status, headers={"location": f"{self.url}?again"})
        if self.body is not None:
            return web.Response(status=self.status, body=self.body)
        return web.json_response({"keys": self.keys}, status=self.status)


@asynccontextmanager
async def jwks_server() -> AsyncIterator[JwksServer]:
    server = JwksServer()
    app = web.Application()
    app.router.add_get("/jwks.json", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks.json"
    try:
        yield server
    finally:
        await runner.cleanup()
