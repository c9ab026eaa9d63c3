"""The service's HTTP interface, as a client sees it: retries, and nothing of what it is made of.

Lean, because it shares its cores with the service: bodies and headers are made once a user, a heartbeat builds and
parses nothing.
"""

import asyncio
from dataclasses import dataclass
from itertools import count
from time import perf_counter
from typing import Protocol

import aiohttp
import msgspec
from yarl import URL

from cluster.replay.figures import Call, Figures
from cluster.replay.patience import Retries

TRY_AGAIN = frozenset({429, 503})


class Headers(Protocol):
    """Case-insensitive reading."""

    def get(self, name: str, /) -> str | None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    status: int
    headers: Headers
    body: bytes


class Refused(Exception):
    """An answer that no client of this kind should ever get, with its body."""

    def __init__(self, what: str, answer: Answer) -> None:
        super().__init__(f"{what}: {answer.status} {answer.body[:300].decode(errors='replace')}")
        self.status = answer.status


class Service:
    """Shared by all clients of a run. ``call`` raises ``GaveUp``; any answer but 429 and 503 is the caller's."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str, *, figures: Figures, retries: Retries) -> None:
        self._http = http
        self._library = base_url.rstrip("/") + "/api/v1/library"
        self._figures = figures
        self._retries = retries
        self._timeout = aiohttp.ClientTimeout(total=retries.patience.attempt_s)

    def url(self, path: str) -> URL:
        """``path`` below the library's root, already in URL form."""
        return URL(self._library + path, encoded=True)

    async def call(
        self, call: Call, method: str, url: URL, headers: dict[str, str], body: bytes | None = None
    ) -> Answer:
        loop = asyncio.get_running_loop()
        began, sent_at = loop.time(), perf_counter()
        for attempt in count():
            retry_after = None
            try:
                answer = await self._attempt(method, url, headers, body)
                if answer.status not in TRY_AGAIN:
                    self._figures.latencies_s[call].append(perf_counter() - sent_at)
                    return answer
                problem = str(answer.status)
                retry_after = answer.headers.get("Retry-After")
            except TimeoutError:
                problem = "time-out"
            except (aiohttp.ClientError, OSError):
                problem = "connection"
            await self._retries.wait(
                f"{method} {url}", began=began, attempt=attempt, problem=problem, retry_after=retry_after
            )
        raise AssertionError("count() has no end")

    async def _attempt(self, method: str, url: URL, headers: dict[str, str], body: bytes | None) -> Answer:
        self._figures.requests += 1
        async with self._http.request(
            method, url, headers=headers, data=body, timeout=self._timeout, allow_redirects=False
        ) as response:
            text = b"" if response.status == 204 else await response.read()
            return Answer(status=response.status, headers=response.headers, body=text)


class _Error(msgspec.Struct):
    code: str


class _Errors(msgspec.Struct):
    errors: list[_Error]


_errors = msgspec.json.Decoder(_Errors)


def error_code(answer: Answer) -> str | None:
    """The code of the error format (R-ERR-1), None if the body is not of that format."""
    try:
        found = _errors.decode(answer.body).errors
    except msgspec.DecodeError:
        return None
    return found[0].code if found else None


def http_session(connections: int) -> aiohttp.ClientSession:
    """Keep-alive, at most ``connections`` at once; no cookies, no proxies, no headers of its own."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, limit_per_host=0, keepalive_timeout=60, ttl_dns_cache=300),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        auto_decompress=False,
    )
