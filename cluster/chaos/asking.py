"""The gRPC calls of the platform's other services, in a process of their own: gRPC does not bear that its process
starts others, and chaos starts many.

``python -m cluster.chaos.asking TARGET CA KEY CERTIFICATE`` calls ``CheckGameAccess`` once for each question that it
reads, a line each, and prints what it met, until its input ends: with its owner.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import msgspec
from google.rpc import error_details_pb2
from grpc import aio
from grpc_status import rpc_status
from library.v1 import library_query_service_pb2 as pb
from library.v1.library_query_service_pb2_grpc import LibraryQueryServiceStub

from cluster.chaos.caller import ATTEMPT_S
from cluster.chaos.platform import Question, Said

OPTIONS = [("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 2_000)]
TRY_AGAIN = {grpc.StatusCode.UNAVAILABLE: "503", grpc.StatusCode.RESOURCE_EXHAUSTED: "429"}
BROKEN = {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL}
"""What grpcio says of a connection that broke, or that was given up for all."""


class _Asking:
    """One connection, which is given up when an answer does not come in time: it may lead to a process that stands
    still."""

    def __init__(self, target: str, credentials: grpc.ChannelCredentials) -> None:
        self._target = target
        self._credentials = credentials
        self._channel = self._connect()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        read = msgspec.json.Decoder(Question).decode
        while line := await reader.readline():
            task = asyncio.create_task(self._answer(read(line)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await self._channel.close(grace=None)

    async def _answer(self, question: Question) -> None:
        said = await self._ask(question)
        print(msgspec.json.encode(said).decode(), flush=True)  # noqa: T201

    async def _ask(self, question: Question) -> Said:
        channel = self._channel
        stub: Any = LibraryQueryServiceStub(channel)
        request = pb.CheckGameAccessRequest(user_id=question.user_id, product_id=question.product_id)
        try:
            answer = await stub.CheckGameAccess(request, timeout=ATTEMPT_S)
        except aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and channel is self._channel:
                self._channel = self._connect()
                await channel.close(grace=None)
            return _said(question.number, error)
        return Said(question.number, "OK", bool(answer.has_access))

    def _connect(self) -> aio.Channel:
        return aio.secure_channel(self._target, self._credentials, options=OPTIONS)


def _said(number: int, error: aio.AioRpcError) -> Said:
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Said(number, "time-out")
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # it has all that is read
    if error.code() in TRY_AGAIN and status is not None:
        retry = error_details_pb2.RetryInfo()
        told = any(detail.Unpack(retry) for detail in status.details if detail.Is(retry.DESCRIPTOR))
        wait_s = retry.retry_delay.ToMilliseconds() / 1000 if told else None
        return Said(number, TRY_AGAIN[error.code()], retry_after_s=wait_s)
    broken = status is None and error.code() in {*TRY_AGAIN, *BROKEN}
    return Said(number, "connection" if broken else error.code().name)


async def _main(target: str, credentials: grpc.ChannelCredentials) -> None:
    await _Asking(target, credentials).run()


if __name__ == "__main__":
    ca, key, certificate = (Path(file).read_bytes() for file in sys.argv[2:])
    asyncio.run(_main(sys.argv[1], grpc.ssl_channel_credentials(ca, key, certificate)))
