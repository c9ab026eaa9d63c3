"""The contract's world over real gRPC and a real Valkey."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from actors.catalog import Product, ProductUpdate
from cluster.dev.neighbours.servers import ADDERS, open_server
from cluster.dev.neighbours.world import Known, KnownFile
from cluster.development import NO_SERVERS
from cluster.settings import load_settings
from cluster.wiring.neighbours import Neighbours
from tests.contract.services_world import (
    BLOCKED_USER,
    NOT_FOR_SALE,
    PRODUCTS,
    STRANGER,
    ServicesWorld,
)

HEARD_TIMEOUT_S = 10.0


class GrpcServicesWorld(ServicesWorld):
    """``address`` of each service; each has a file of its own."""

    def __init__(self, directory: Path, redis: dict[str, str]) -> None:
        self._files = {service: KnownFile(directory / f"{service}.json") for service in ADDERS}
        self._redis = redis
        self._servers: list[object] = []

    async def open(self) -> None:
        variables = {**NO_SERVERS, "LIBRARY_ENVIRONMENT": "development", **self._redis}
        for service, file in self._files.items():
            file.write(
                Known(
                    products=list(PRODUCTS),
                    refused={NOT_FOR_SALE: "not available in this region"},
                    inactive=[BLOCKED_USER],
                    absent=[STRANGER],
                )
            )
            server, port = await open_server(service, file, 0)
            self._servers.append(server)
            variables[f"{service.upper()}_SERVICE_GRPC_ADDR"] = f"127.0.0.1:{port}"
        self.neighbours = Neighbours(load_settings(variables))
        self.catalog, self.downloads, self.accounts = (
            self.neighbours.catalog,
            self.neighbours.downloads,
            self.neighbours.accounts,
        )
        self.neighbours.start()
        assert self.neighbours.channel is not None
        await asyncio.wait_for(self.neighbours.channel.listening.wait(), HEARD_TIMEOUT_S)

    async def down(self) -> None:
        for server in self._servers:
            await server.stop(None)  # type: ignore[attr-defined]

    async def update(self, product: Product) -> None:
        file = self._files["catalog"]
        known = file.known
        known.products = [one for one in known.products if one.product_id != product.product_id] + [product]
        file.write(known)
        assert self.neighbours.products is not None
        update = ProductUpdate(product_id=product.product_id, updated_at=product.updated_at, title=product.title)
        await self.neighbours.products.apply(update)
        marker = ProductUpdate(product_id=f"marker-{time.monotonic_ns()}", updated_at=product.updated_at)
        heard = asyncio.Event()
        hear = self.neighbours.catalog.hear

        def listen(one: ProductUpdate) -> None:
            hear(one)
            if one.product_id == marker.product_id:
                heard.set()

        assert self.neighbours.channel is not None
        self.neighbours.channel._hear = listen
        await self.neighbours.products.apply(marker)
        await asyncio.wait_for(heard.wait(), HEARD_TIMEOUT_S)

    async def installs(self) -> list[tuple[str, str]]:
        return self._files["download"].known.installs

    async def close(self) -> None:
        await self.neighbours.close()
        await self.down()


@asynccontextmanager
async def grpc_services_world(directory: Path, redis: dict[str, str]) -> AsyncIterator[GrpcServicesWorld]:
    world = GrpcServicesWorld(directory, redis)
    try:
        await world.open()
        yield world
    finally:
        await world.close()
