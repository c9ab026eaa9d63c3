"""The Auth Service: whether a token that is good by itself was withdrawn (R-CFG-2)."""

from auth.v1.auth_service_pb2 import ValidateTokenRequest
from auth.v1.auth_service_pb2_grpc import AuthServiceStub
from grpc import aio

from persistence.services.calling import Caller


class GrpcTokenCheck:
    """The door's port ``TokenCheck``. Nothing is remembered here: the door remembers tokens."""

    def __init__(self, channel: aio.Channel, caller: Caller) -> None:
        self._stub = AuthServiceStub(channel)
        self._caller = caller

    async def is_valid(self, token: str) -> bool:
        request = ValidateTokenRequest(token=token)

        async def attempt(timeout_s: float) -> bool:
            return bool((await self._stub.ValidateToken(request, timeout=timeout_s)).valid)

        return await self._caller.call(attempt)
