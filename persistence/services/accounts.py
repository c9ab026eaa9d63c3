"""The Account Service: whether a user may be granted something (R-CFG-2)."""

from account.v1.account_service_pb2 import (
    ACCOUNT_STATUS_ACTIVE,
    ACCOUNT_STATUS_UNSPECIFIED,
    GetAccountStatusRequest,
)
from account.v1.account_service_pb2_grpc import AccountServiceStub
from grpc import StatusCode, aio

from persistence.services.calling import Caller, WrongAnswer

ABSENT = frozenset({StatusCode.NOT_FOUND})


class GrpcAccounts:
    """The port ``Accounts``; ``caller`` takes ``ABSENT`` for an answer. Nothing is remembered: grants are rare, and one
    to an account that was just closed would stay."""

    def __init__(self, channel: aio.Channel, caller: Caller) -> None:
        self._stub = AccountServiceStub(channel)
        self._caller = caller

    async def is_active(self, user_id: str) -> bool:
        request = GetAccountStatusRequest(user_id=user_id)

        async def attempt(timeout_s: float) -> bool:
            status = (await self._stub.GetAccountStatus(request, timeout=timeout_s)).status
            if status == ACCOUNT_STATUS_UNSPECIFIED:
                raise WrongAnswer("an account without a status")
            return bool(status == ACCOUNT_STATUS_ACTIVE)

        try:
            return await self._caller.call(attempt)
        except aio.AioRpcError:
            return False
