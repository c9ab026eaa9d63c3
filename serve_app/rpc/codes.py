"""How a call can end: the standard status codes, and one shape of details for every error (R-RPC-3, R-ERR-1).

``ErrorInfo.reason`` is the same code that REST answers (``docs/errors.md``), so that both doors speak of one thing.
"""

from collections.abc import Sequence
from enum import IntEnum

from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from msgspec import Struct

from actors.domain.replies import Reply, Unavailable
from serve_app.errors import ApiError, Fault
from serve_app.outcomes import error_of

DOMAIN = "library.v1"


class Code(IntEnum):
    """``google.rpc.Code``; only what the service answers."""

    OK = 0
    CANCELLED = 1
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class Violation(Struct, frozen=True):
    """A field that is not what it must be; ``field`` is its path in the request."""

    field: str
    description: str


class RpcError(Exception):
    """A call ends with this code. ``retry_after_s``: worth trying again then."""

    def __init__(
        self,
        code: Code,
        reason: str,
        message: str,
        *,
        violations: Sequence[Violation] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code, reason, message)
        self.code = code
        self.reason = reason
        self.message = message
        self.violations = violations
        self.retry_after_s = retry_after_s

    def details(self) -> bytes:
        """``grpc-status-details-bin``: a serialized ``google.rpc.Status``."""
        status = status_pb2.Status(code=self.code, message=self.message)
        _pack(status.details.add(), error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN))
        if self.violations:
            bad = error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(field=one.field, description=one.description)
                    for one in self.violations
                ]
            )
            _pack(status.details.add(), bad)
        if self.retry_after_s is not None:
            delay = duration_pb2.Duration()
            delay.FromMilliseconds(int(self.retry_after_s * 1000))
            _pack(status.details.add(), error_details_pb2.RetryInfo(retry_delay=delay))
        serialized: bytes = status.SerializeToString()
        return serialized


def _pack(
    into: any_pb2.Any,
    detail: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
) -> None:
    into.Pack(detail)


def invalid(field: str, description: str) -> RpcError:
    return invalid_fields([Violation(field, description)])


def invalid_fields(violations: Sequence[Violation]) -> RpcError:
    first = violations[0]
    return RpcError(
        Code.INVALID_ARGUMENT, "VALIDATION_ERROR", f"{first.field}: {first.description}", violations=violations
    )


def unavailable(message: str, retry_after_s: float = 1.0) -> RpcError:
    return RpcError(Code.UNAVAILABLE, "SERVICE_UNAVAILABLE", message, retry_after_s=retry_after_s)


def deadline_exceeded() -> RpcError:
    return RpcError(Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "the call's own deadline is over")


_OF_STATUS = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    409: Code.FAILED_PRECONDITION,
    413: Code.RESOURCE_EXHAUSTED,
    422: Code.FAILED_PRECONDITION,
    429: Code.RESOURCE_EXHAUSTED,
    503: Code.UNAVAILABLE,
}


def of_api_error(error: ApiError) -> RpcError:
    """The same failure in gRPC's words."""
    entry = error.entry
    faults: Sequence[Fault] = error.faults
    retry_after_s = error.retry_after_s or (1 if entry.status in (429, 503) else None)
    return RpcError(
        _OF_STATUS.get(entry.status, Code.INTERNAL), entry.code, faults[0].detail, retry_after_s=retry_after_s
    )


def of_reply(reply: Reply, *, expired: bool) -> RpcError:
    """What an actor's reply that is not the expected one means. ``expired``: the caller's own time is over."""
    if expired and isinstance(reply, Unavailable):
        return deadline_exceeded()
    return of_api_error(error_of(reply))
