"""The other services of the platform: before a download or a start they ask over gRPC whether a user has access."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from random import Random

import msgspec

from actors.domain.ids import ProductId, UserId, format_id
from cluster.chaos.caller import PATIENCE_S, Unanswered
from cluster.chaos.calls import Calls
from cluster.chaos.child import end
from cluster.dev.certificates import DevelopmentCertificates
from cluster.replay.patience import backoff_s

AGAIN = {"503", "429", "time-out", "connection"}


class Question(msgspec.Struct, array_like=True, frozen=True):
    """A line to the process."""

    number: int
    user_id: str
    product_id: str


class Said(msgspec.Struct, array_like=True, frozen=True):
    """A line from it. ``met``: "OK", or in the words of HTTP what came instead of an answer, or a gRPC status."""

    number: int
    met: str
    has_access: bool = False
    retry_after_s: float | None = None


class Platform:
    """One caller with a certificate, made by ``open_platform``; its calls are made by a process of their own."""

    def __init__(self, process: asyncio.subprocess.Process, calls: Calls, random: Random) -> None:
        self._process = process
        self._calls = calls
        self._random = random
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Said]] = {}
        self._reading = asyncio.create_task(self._read())

    async def has_access(self, who: str, user_id: UserId, product_id: ProductId) -> bool:
        """``Unanswered``; ``ValueError`` for a refusal, which nobody should get here."""
        loop = asyncio.get_running_loop()
        call = self._calls.begin(who, "access", format_id(product_id))
        try:
            while True:
                began = loop.time()
                said = await self._ask(user_id, product_id)
                took_s = loop.time() - began
                if said.met == "OK":
                    self._calls.answered(call, said.met, took_s=took_s)
                    return said.has_access
                if said.met not in AGAIN:
                    raise ValueError(f"access was answered {said.met}")
                told = said.retry_after_s is not None
                self._calls.attempted(call, said.met, took_s=took_s, retry_after=told)
                wait_s = backoff_s(call.attempt, self._random) + (said.retry_after_s or 0.0)
                if loop.time() + wait_s > call.began + PATIENCE_S:
                    raise Unanswered(f"access was not answered within {PATIENCE_S:.0f} s")
                await asyncio.sleep(wait_s)
        finally:
            self._calls.end(call)

    async def close(self) -> None:
        await end(self._process)
        self._reading.cancel()

    async def _ask(self, user_id: UserId, product_id: ProductId) -> Said:
        """``Unanswered`` when the asking process is gone."""
        assert self._process.stdin is not None, "it is a pipe"
        if self._reading.done():
            raise Unanswered("the process that asks for access has ended")
        number = next(self._numbers)
        answer: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        question = Question(number, format_id(user_id), format_id(product_id))
        self._process.stdin.write(msgspec.json.encode(question) + b"\n")
        return await answer

    async def _read(self) -> None:
        assert self._process.stdout is not None, "it is a pipe"
        decode = msgspec.json.Decoder(Said).decode
        while line := await self._process.stdout.readline():
            said = decode(line)
            answer = self._waiting.pop(said.number)
            if not answer.done():
                answer.set_result(said)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Unanswered("the process that asks for access has ended"))


@asynccontextmanager
async def open_platform(
    port: int, certificates: DevelopmentCertificates, calls: Calls, random: Random
) -> AsyncIterator[Platform]:
    """Calls the gRPC door of a development service."""
    files = (certificates.authority, certificates.client_key, certificates.client_certificate)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cluster.chaos.asking", f"localhost:{port}", *map(str, files)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    platform = Platform(process, calls, random)
    try:
        yield platform
    finally:
        await platform.close()
