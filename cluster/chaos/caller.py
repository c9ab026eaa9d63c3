"""How a game client calls: over HTTP, again and again with the same ids until there is an answer."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import aiohttp

from cluster.chaos.calls import Call, Calls
from cluster.replay.patience import backoff_s
from cluster.replay.service import TRY_AGAIN, Answer

ATTEMPT_S = 8.0
PATIENCE_S = 240.0
"""Longer than any outage that is made: a client that gives up has found a fault."""


class Unanswered(Exception):
    """Nobody answered within ``PATIENCE_S``."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """``path`` below the library's root; ``kind`` and ``target`` are for the history."""

    kind: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None
    target: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard(Answer):
    """``sure``: it is the answer to the only attempt. Else an earlier one may have been done too, or be done yet: it
    lies before a process that stands still."""

    sure: bool


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Shared by all clients of a run."""

    http: aiohttp.ClientSession
    base_url: str
    calls: Calls
    random: Random

    async def ask(self, who: str, request: Request, *, patience_s: float = PATIENCE_S) -> Heard:
        """Any answer but 429 and 503. ``Unanswered`` when patience is over; with none at all after one attempt."""
        call = self.calls.begin(who, request.kind, request.target or request.path)
        try:
            while True:
                answer, wait_s = await self._attempt(call, request)
                if answer is not None:
                    return answer
                if asyncio.get_running_loop().time() + wait_s > call.began + patience_s:
                    raise Unanswered(f"{request.kind} {request.path} was not answered within {patience_s:.0f} s")
                await asyncio.sleep(wait_s)
        finally:
            self.calls.end(call)

    async def _attempt(self, call: Call, request: Request) -> tuple[Heard | None, float]:
        """The answer; or None, and how long to wait before the next attempt."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        retry_after: str | None = None
        try:
            async with self.http.request(
                request.method,
                f"{self.base_url}/api/v1/library{request.path}",
                headers=request.headers,
                data=request.body,
                timeout=aiohttp.ClientTimeout(total=ATTEMPT_S),
                allow_redirects=False,
            ) as response:
                body = await response.read()
                answer = Heard(status=response.status, headers=response.headers, body=body, sure=call.attempt == 0)
            if answer.status not in TRY_AGAIN:
                said = answer.headers.get("Library-Accepted-At") or ""
                self.calls.answered(call, str(answer.status), took_s=loop.time() - began, said=said)
                return answer, 0.0
            met = str(answer.status)
            retry_after = answer.headers.get("Retry-After")
        except TimeoutError:
            met = "time-out"
        except (aiohttp.ClientError, OSError):
            met = "connection"
        self.calls.attempted(call, met, took_s=loop.time() - began, retry_after=retry_after is not None)
        return None, backoff_s(call.attempt, self.random, retry_after)
