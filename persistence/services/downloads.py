"""The Download Service: begins installations (R-LIB-6)."""

from download.v1.download_service_pb2 import RequestInstallRequest
from download.v1.download_service_pb2_grpc import DownloadServiceStub
from grpc import StatusCode, aio

from actors.neighbours import InstallRefused
from persistence.services.calling import Caller

REFUSALS = frozenset({StatusCode.FAILED_PRECONDITION, StatusCode.NOT_FOUND, StatusCode.PERMISSION_DENIED})
MAX_REASON = 200


class GrpcDownloads:
    """The port ``Downloads``; ``caller`` takes ``REFUSALS`` for answers."""

    def __init__(self, channel: aio.Channel, caller: Caller) -> None:
        self._stub = DownloadServiceStub(channel)
        self._caller = caller

    async def request_install(self, *, user_id: str, product_id: str) -> None:
        request = RequestInstallRequest(user_id=user_id, product_id=product_id)

        async def attempt(timeout_s: float) -> None:
            await self._stub.RequestInstall(request, timeout=timeout_s)

        try:
            await self._caller.call(attempt)
        except aio.AioRpcError as refused:
            raise InstallRefused((refused.details() or refused.code().name)[:MAX_REASON]) from None
