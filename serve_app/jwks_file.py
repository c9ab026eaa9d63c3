"""Keys from a JWKS file (R-SEC-1).

The file is looked at every few seconds, so a rotation needs no restart; an unknown key id asks for a look at once,
because the file may have just been replaced. Whoever has one meanwhile waits for that look.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from serve_app.jwks import MAX_DOCUMENT_BYTES, KeySet, Kid, VerificationKey, read_keys

_log = logging.getLogger(__name__)

Stamp = tuple[int, int, int]


class JwksFile:
    """``monotonic`` is seconds that never go back; it limits how often unknown key ids reach the disk."""

    def __init__(self, path: Path, *, check_s: float, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._check_s = check_s
        self._monotonic = monotonic
        self._looked_at: float | None = None
        self._stamp: Stamp | None = None
        self._keys = KeySet()
        self._lock = asyncio.Lock()
        self.certain = False

    def find(self, kid: Kid) -> VerificationKey | None:
        return self._keys.find(kid)

    def take_withdrawn(self) -> frozenset[Kid]:
        return self._keys.take_withdrawn()

    async def refresh(self) -> None:
        async with self._lock:
            await self._reload()

    async def refresh_for_unknown_key(self) -> None:
        async with self._lock:
            now = self._monotonic()
            if self._looked_at is not None and now - self._looked_at < self._check_s:
                return
            self._looked_at = now
            await self._reload()

    async def _reload(self) -> None:
        """Keys change on the event loop alone: a look whose caller has left changes nothing."""
        try:
            stamp, keys = await asyncio.to_thread(self._read, self._stamp)
        except (OSError, ValueError) as error:
            self.certain = False
            _log.error("JWKS file not usable, keeping %d keys: %s", len(self._keys), error)
            return
        self._stamp, self.certain = stamp, True
        if keys is not None:
            self._keys.replace(keys)

    def _read(self, known: Stamp | None) -> tuple[Stamp, dict[Kid, VerificationKey] | None]:
        """The file's stamp, and its keys unless it is the one that is known. ``OSError`` or ``ValueError``."""
        status = self._path.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp == known:
            return stamp, None
        if status.st_size > MAX_DOCUMENT_BYTES:
            raise ValueError("the file is too large")
        return stamp, read_keys(self._path.read_bytes())
