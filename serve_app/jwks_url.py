"""Keys from a JWKS address (R-SEC-1).

    every ``refresh_s`` ── fetch ──▶ other keys │ the same │ away: the last ones stay, next try after ``retry_s``
    an unknown key id ──▶ the same fetch, at most every ``retry_s``; whoever asks meanwhile waits for that one

Requests never wait for the address, but for one whose key is unknown; that one waits at most ``timeout_s``.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus

import aiohttp

from serve_app.jwks import MAX_DOCUMENT_BYTES, KeySet, Kid, VerificationKey, read_keys

_log = logging.getLogger(__name__)


class JwksUrl:
    """``monotonic`` is seconds that never go back. No redirects are followed: the setting says where keys come from."""

    def __init__(
        self,
        url: str,
        *,
        refresh_s: float,
        monotonic: Callable[[], float],
        retry_s: float = 5.0,
        timeout_s: float = 3.0,
    ) -> None:
        self._url = url
        self._refresh_s = refresh_s
        self._retry_s = retry_s
        self._timeout_s = timeout_s
        self._monotonic = monotonic
        self._keys = KeySet()
        self._fetched_at: float | None = None
        self._reached = False
        self._fetching: asyncio.Task[None] | None = None

    @property
    def certain(self) -> bool:
        return self._reached

    def find(self, kid: Kid) -> VerificationKey | None:
        return self._keys.find(kid)

    def take_withdrawn(self) -> frozenset[Kid]:
        return self._keys.take_withdrawn()

    async def refresh(self) -> None:
        await self._fetch_if_older_than(self._refresh_s if self._reached else self._retry_s)

    async def refresh_for_unknown_key(self) -> None:
        await self._fetch_if_older_than(self._retry_s)

    async def _fetch_if_older_than(self, age_s: float) -> None:
        """Or waits for the fetch under way."""
        if self._fetching is None:
            now = self._monotonic()
            if self._fetched_at is not None and now - self._fetched_at < age_s:
                return
            self._fetched_at = now
            self._fetching = asyncio.create_task(self._fetch(), name="fetch of token keys")
        await asyncio.shield(self._fetching)

    async def _fetch(self) -> None:
        try:
            keys = read_keys(await self._download())
        except (OSError, aiohttp.ClientError, ValueError) as error:
            self._reached = False
            _log.error("JWKS address not usable, keeping %d keys: %s", len(self._keys), repr(error))
        else:
            self._reached = True
            self._keys.replace(keys)
        finally:
            self._fetching = None

    async def _download(self) -> bytes:
        """``OSError`` (a time-out is one), ``ClientError`` or ``ValueError``."""
        async with (
            asyncio.timeout(self._timeout_s),
            aiohttp.ClientSession() as session,
            session.get(self._url, allow_redirects=False) as answer,
        ):
            if answer.status != HTTPStatus.OK:
                raise ValueError(f"status {answer.status}")
            document = b""
            async for part in answer.content.iter_chunked(65_536):
                document += part
                if len(document) > MAX_DOCUMENT_BYTES:
                    raise ValueError("the document is too large")
            return document
