"""The three services, as small as their interfaces allow."""

import asyncio
import time
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import grpc
from account.v1 import account_service_pb2 as account
from account.v1.account_service_pb2_grpc import AccountServiceServicer, add_AccountServiceServicer_to_server
from catalog.v1 import catalog_service_pb2 as catalog
from catalog.v1.catalog_service_pb2_grpc import CatalogServiceServicer, add_CatalogServiceServicer_to_server
from download.v1 import download_service_pb2 as download
from download.v1.download_service_pb2_grpc import DownloadServiceServicer, add_DownloadServiceServicer_to_server
from grpc import StatusCode, aio

from cluster.dev.neighbours.world import Known, KnownFile

Context = aio.ServicerContext[object, object]


class Misbehaving:
    """What all three have in common: they do as they are told, also when that is wrong."""

    def __init__(self, file: KnownFile) -> None:
        self.file = file

    async def know(self, context: Context) -> Known:
        """Waits and fails as told; otherwise what is known."""
        known = self.file.known
        if known.delay_s:
            await asyncio.sleep(known.delay_s)
        if known.trouble in ("UNAVAILABLE", "INTERNAL"):
            await context.abort(StatusCode[known.trouble], "told to")
        return known


class Catalog(Misbehaving, CatalogServiceServicer):
    async def BatchGetProducts(
        self, request: catalog.BatchGetProductsRequest, context: Context
    ) -> catalog.BatchGetProductsResponse:
        known = await self.know(context)
        if known.trouble == "wrong":
            return catalog.BatchGetProductsResponse(products=[catalog.Product(product_id="nobody", title="Wrong")])
        answer = catalog.BatchGetProductsResponse(as_of_ms=time.time_ns() // 1_000_000)
        products = {product.product_id: product for product in known.products}
        for product_id in request.product_ids:
            product = products.get(product_id)
            if product is None:
                answer.missing_product_ids.append(product_id)
                continue
            answer.products.append(
                catalog.Product(
                    product_id=product_id,
                    title=product.title,
                    cover_image_url=product.cover_image_url,
                    free_to_play=product.free_to_play,
                    updated_at_ms=product.updated_at,
                )
            )
        return answer


class Downloads(Misbehaving, DownloadServiceServicer):
    async def RequestInstall(
        self, request: download.RequestInstallRequest, context: Context
    ) -> download.RequestInstallResponse:
        known = await self.know(context)
        if (reason := known.refused.get(request.product_id)) is not None:
            await context.abort(StatusCode.FAILED_PRECONDITION, reason)
        wanted = (request.user_id, request.product_id)
        if wanted not in known.installs:
            known.installs.append(wanted)
            self.file.write(known)
        return download.RequestInstallResponse(installation_id=str(uuid5(NAMESPACE_URL, "/".join(wanted))))


class Accounts(Misbehaving, AccountServiceServicer):
    async def GetAccountStatus(
        self, request: account.GetAccountStatusRequest, context: Context
    ) -> account.GetAccountStatusResponse:
        known = await self.know(context)
        if known.trouble == "wrong":
            return account.GetAccountStatusResponse()
        if request.user_id in known.absent:
            await context.abort(StatusCode.NOT_FOUND, "there is no such user")
        active = request.user_id not in known.inactive
        status = account.ACCOUNT_STATUS_ACTIVE if active else account.ACCOUNT_STATUS_BLOCKED
        return account.GetAccountStatusResponse(status=status)


ADDERS: dict[str, tuple[Any, Any]] = {
    "catalog": (Catalog, add_CatalogServiceServicer_to_server),
    "download": (Downloads, add_DownloadServiceServicer_to_server),
    "account": (Accounts, add_AccountServiceServicer_to_server),
}


async def open_server(
    service: str, file: KnownFile, port: int, credentials: grpc.ServerCredentials | None = None
) -> tuple[grpc.aio.Server, int]:
    """A server on that port of 127.0.0.1, on a free one if it is 0; ``OSError`` if it cannot be had. In the clear
    without ``credentials``."""
    make, add = ADDERS[service]
    server = aio.server(options=(("grpc.so_reuseport", 0),))
    add(make(file), server)
    try:
        address = f"127.0.0.1:{port}"
        bound = (
            server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
        )
    except RuntimeError as refused:
        raise OSError(str(refused)) from refused
    await server.start()
    return server, bound
