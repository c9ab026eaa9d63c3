"""``grpc.health.v1.Health``: what load balancers and Kubernetes ask (R-RPC-3)."""

import asyncio
from collections.abc import AsyncIterator, Callable

from grpc_health.v1 import health_pb2 as pb

from serve_app.rpc.codes import Code, RpcError
from serve_app.rpc.methods import KIB, Call, Kind, Method

SERVICE = "grpc.health.v1.Health"
LOOK_EVERY_S = 1.0
WATCHERS = 200


class Health:
    """``serving``: the door takes calls and knows the way to the actors. ``services`` are the names it knows, filled by
    the door; the empty name is the door itself."""

    def __init__(self, serving: Callable[[], bool]) -> None:
        self._serving = serving
        self.services: frozenset[str] = frozenset({""})

    async def check(self, request: pb.HealthCheckRequest, _call: Call) -> pb.HealthCheckResponse:
        if request.service not in self.services:
            raise RpcError(Code.NOT_FOUND, "UNKNOWN_SERVICE", f"there is no service {request.service[:200]}")
        return pb.HealthCheckResponse(status=self._status(request.service))

    async def list(self, _request: pb.HealthListRequest, _call: Call) -> pb.HealthListResponse:
        return pb.HealthListResponse(
            statuses={service: pb.HealthCheckResponse(status=self._status(service)) for service in self.services}
        )

    async def watch(self, request: pb.HealthCheckRequest, _call: Call) -> AsyncIterator[pb.HealthCheckResponse]:
        """The state now, then each change; an unknown service may still come, says the protocol."""
        told: int | None = None
        while True:
            status = self._status(request.service)
            if status != told:
                told = status
                yield pb.HealthCheckResponse(status=status)
            await asyncio.sleep(LOOK_EVERY_S)

    def _status(self, service: str) -> pb.HealthCheckResponse.ServingStatus.ValueType:
        if service not in self.services:
            return pb.HealthCheckResponse.SERVICE_UNKNOWN
        return pb.HealthCheckResponse.SERVING if self._serving() else pb.HealthCheckResponse.NOT_SERVING


def health_methods(health: Health) -> list[Method]:
    return [
        Method(
            service=SERVICE,
            name="Check",
            kind=Kind.UNARY,
            request=pb.HealthCheckRequest,
            handler=health.check,
            message_bytes=4 * KIB,
        ),
        Method(
            service=SERVICE,
            name="List",
            kind=Kind.UNARY,
            request=pb.HealthListRequest,
            handler=health.list,
            message_bytes=4 * KIB,
        ),
        Method(
            service=SERVICE,
            name="Watch",
            kind=Kind.SERVER_STREAM,
            request=pb.HealthCheckRequest,
            handler=health.watch,
            message_bytes=4 * KIB,
            in_work=WATCHERS,
        ),
    ]
