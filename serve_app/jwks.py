"""Public keys out of a JWKS document (R-SEC-1). Where they come from: ``jwks_file``, ``jwks_url``.

A source that is away, or says something that cannot be understood, keeps its last good keys.
"""

import logging
from dataclasses import dataclass, field
from typing import Any, Protocol

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
Kid = str | None

_log = logging.getLogger(__name__)

MAX_DOCUMENT_BYTES = 1 << 20
MIN_RSA_BITS = 2048


@dataclass(frozen=True, kw_only=True)
class VerificationKey:
    """A key and the one algorithm it is good for: a token cannot choose another (key confusion)."""

    kid: Kid
    algorithm: str
    key: Any = field(repr=False)


class KeySource(Protocol):
    """Neither ``refresh`` nor ``refresh_for_unknown_key`` raises for a source that is away."""

    @property
    def certain(self) -> bool:
        """Whether a key that ``find`` does not know is really unknown, and not only out of reach."""
        ...

    def find(self, kid: Kid) -> VerificationKey | None:
        """The key of that id; without an id, the only key there is."""
        ...

    async def refresh(self) -> None:
        """To be called every few seconds; looks for newer keys when it is time."""
        ...

    async def refresh_for_unknown_key(self) -> None:
        """Looks at once, but at most once in a while, whoever asks."""
        ...

    def take_withdrawn(self) -> frozenset[Kid]:
        """The ids of keys that are gone, or are other keys now, since this was last asked: what they signed is worth
        nothing any more. A look whose caller has left counts too."""
        ...


class KeySet:
    """The keys of one source."""

    def __init__(self) -> None:
        self._keys: dict[Kid, VerificationKey] = {}
        self._withdrawn: frozenset[Kid] = frozenset()

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, kid: Kid) -> VerificationKey | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    def replace(self, keys: dict[Kid, VerificationKey]) -> None:
        before, self._keys = self._keys, keys
        self._withdrawn |= {kid for kid, key in before.items() if keys.get(kid) != key}

    def take_withdrawn(self) -> frozenset[Kid]:
        taken, self._withdrawn = self._withdrawn, frozenset()
        return taken


def read_keys(document: bytes) -> dict[Kid, VerificationKey]:
    """The signing keys of a JWKS document; keys of other kinds or uses are left out. ``ValueError`` if none is left."""
    try:
        body = msgspec.json.decode(document, type=dict[str, Any])
    except RecursionError:
        raise ValueError("too deeply nested") from None
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
        _log.warning("a key of the JWKS is left out: %s", error)
        return None
    key = key.public_key() if hasattr(key, "public_key") else key
    algorithm = _algorithm_of(key)
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        _log.warning("a key of the JWKS is left out: its kind is not for signing tokens here")
        return None
    kid = entry.get("kid")
    return VerificationKey(kid=kid if isinstance(kid, str) else None, algorithm=algorithm, key=key)


def _algorithm_of(key: object) -> str | None:
    if isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return "RS256"
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256"
    return "EdDSA" if isinstance(key, Ed25519PublicKey) else None
