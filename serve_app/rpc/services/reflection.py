"""``grpc.reflection``: what a client without our ``.proto`` files asks (R-RPC-3).

grpcio's own implementation, under both names that clients try; v1's messages are those of v1alpha.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from grpc_reflection.v1alpha import reflection_pb2 as pb
from grpc_reflection.v1alpha._async import ReflectionServicer

from serve_app.rpc.methods import KIB, Call, Kind, Method

SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
CALLERS = 100


def reflection_methods(services: Sequence[str]) -> list[Method]:
    """For the services named, and for itself."""
    servicer: Any = ReflectionServicer([*services, SERVICES[1]])

    async def info(requests: AsyncIterator[Any], _call: Call) -> AsyncIterator[Any]:
        async for response in servicer.ServerReflectionInfo(requests, None):
            yield response

    return [
        Method(
            service=service,
            name="ServerReflectionInfo",
            kind=Kind.BIDI,
            request=pb.ServerReflectionRequest,
            handler=info,
            message_bytes=4 * KIB,
            in_work=CALLERS,
        )
        for service in SERVICES
    ]
