"""Public keys from a JWKS file, kept fresh (R-SEC-1).

The file is looked at every few seconds, so a rotation needs no restart; an unknown key id asks for a look at once,
because the file may have just been replaced. A file that cannot be read or understood keeps the last good keys.

A JWKS by URL would be another ``KeySource``.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from msgspec import Struct

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

_log = logging.getLogger(__name__)

MAX_FILE_BYTES = 1 << 20
MIN_RSA_BITS = 2048


class VerificationKey(Struct, frozen=True, kw_only=True):
    """A key and the one algorithm it is good for: a token cannot choose another (key confusion)."""

    kid: str | None
    algorithm: str
    key: Any


class KeySource(Protocol):
    def find(self, kid: str | None) -> VerificationKey | None:
        """The key of that id; without an id, the only key there is."""
        ...

    async def refresh(self) -> bool:
        """Looks for newer keys; whether they changed. Never raises for a source that is away."""
        ...

    async def refresh_for_unknown_key(self) -> bool:
        """As ``refresh``, but at most once in a while, whoever asks."""
        ...


class JwksFile:
    """``monotonic`` is seconds that never go back; it limits how often unknown key ids reach the disk."""

    def __init__(self, path: Path, *, check_s: float, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._check_s = check_s
        self._monotonic = monotonic
        self._looked_at: float | None = None
        self._stamp: tuple[int, int, int] | None = None
        self._keys: dict[str | None, VerificationKey] = {}
        self._lock = asyncio.Lock()

    def find(self, kid: str | None) -> VerificationKey | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    async def refresh(self) -> bool:
        async with self._lock:
            return await asyncio.to_thread(self._reload)

    async def refresh_for_unknown_key(self) -> bool:
        now = self._monotonic()
        if self._looked_at is not None and now - self._looked_at < self._check_s:
            return False
        self._looked_at = now
        return await self.refresh()

    def _reload(self) -> bool:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp:
                return False
            if status.st_size > MAX_FILE_BYTES:
                raise ValueError("the file is too large")
            keys = read_keys(self._path.read_bytes())
        except (OSError, ValueError) as error:
            _log.error("JWKS file not usable, keeping %d keys: %s", len(self._keys), error)
            return False
        self._stamp = stamp
        changed = keys.keys() != self._keys.keys() or any(_differ(keys[kid], self._keys[kid]) for kid in keys)
        self._keys = keys
        return changed


def read_keys(document: bytes) -> dict[str | None, VerificationKey]:
    """The signing keys of a JWKS document; keys of other kinds or uses are left out. ``ValueError`` if none is left."""
    body = msgspec.json.decode(document, type=dict[str, Any])
    entries = body.get("keys")
    if not isinstance(entries, list):
        raise ValueError("no list of keys")
    found = [key for entry in entries if (key := _read_key(entry)) is not None]
    if not found:
        raise ValueError("no usable key")
    return {key.kid: key for key in found}


def _read_key(entry: object) -> VerificationKey | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(entry).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        _log.warning("a key of the JWKS file is left out: %s", error)
        return None
    key = key.public_key() if hasattr(key, "public_key") else key
    algorithm = _algorithm_of(key)
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        _log.warning("a key of the JWKS file is left out: its kind is not for signing tokens here")
        return None
    kid = entry.get("kid")
    return VerificationKey(kid=kid if isinstance(kid, str) else None, algorithm=algorithm, key=key)


def _algorithm_of(key: object) -> str | None:
    if isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return "RS256"
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256"
    return "EdDSA" if isinstance(key, Ed25519PublicKey) else None


def _differ(one: VerificationKey, other: VerificationKey) -> bool:
    return one.algorithm != other.algorithm or bool(one.key != other.key)
