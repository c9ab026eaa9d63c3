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


class JwksFile:
    """``monotonic`` is seconds that never go back; it limits how often unknown key ids reach the disk."""

    def __init__(self, path: Path, *, check_s: float, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._check_s = check_s
        self._monotonic = monotonic
        self._looked_at: float | None = None
        self._stamp: tuple[int, int, int] | None = None
        self._keys = KeySet()
        self._lock = asyncio.Lock()
        self.certain = False

    def find(self, kid: Kid) -> VerificationKey | None:
        return self._keys.find(kid)

    async def refresh(self) -> frozenset[Kid]:
        async with self._lock:
            return await asyncio.to_thread(self._reload)

    async def refresh_for_unknown_key(self) -> frozenset[Kid]:
        async with self._lock:
            now = self._monotonic()
            if self._looked_at is not None and now - self._looked_at < self._check_s:
                return frozenset()
            self._looked_at = now
            return await asyncio.to_thread(self._reload)

    def _reload(self) -> frozenset[Kid]:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp:
                self.certain = True
                return frozenset()
            if status.st_size > MAX_DOCUMENT_BYTES:
                raise ValueError("the file is too large")
            keys = read_keys(self._path.read_bytes())
        except (OSError, ValueError) as error:
            self.certain = False
            _log.error("JWKS file not usable, keeping %d keys: %s", len(self._keys), error)
            return frozenset()
        self._stamp, self.certain = stamp, True
        return self._keys.replace(keys)
