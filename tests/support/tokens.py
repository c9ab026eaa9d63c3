"""Tokens, keys and a key file, for tests of who is believed (R-SEC-1)."""

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from actors.domain.ids import UserId, format_id
from serve_app.auth import Authenticator
from serve_app.errors import ApiError
from serve_app.jwks_file import JwksFile
from serve_app.settings import AuthSettings
from tests.support.door import SECRET, USER

NOW = 1_700_000_000
RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
SMALL_RSA = rsa.generate_private_key(public_exponent=65_537, key_size=1024)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()
PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class World:
    """A settable wall clock, a settable monotonic clock, a JWKS file."""

    def __init__(self, folder: Path) -> None:
        self.now = float(NOW)
        self.monotonic = 0.0
        self.file = folder / "jwks.json"
        self.failures: Counter[str] = Counter()
        self.keys = JwksFile(self.file, check_s=5, monotonic=lambda: self.monotonic)

    def publish(self, **keys: Any) -> None:
        entries = [{**public(key), "kid": kid, "use": "sig"} for kid, key in keys.items()]
        self.publish_raw({"keys": entries})

    def publish_raw(self, document: object) -> None:
        self.file.write_text(json.dumps(document))

    def authenticator(self, **settings: Any) -> Authenticator:
        chosen = AuthSettings(**{"jwks_file": self.file, "hs256_secret": SECRET, "leeway_s": 0, **settings})
        return Authenticator(
            chosen,
            keys=self.keys if chosen.jwks_file else None,
            real_now=lambda: self.now,
            count_failure=lambda reason: self.failures.update([reason]),
        )


def public(key: Any) -> dict[str, Any]:
    algorithm: Any = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}.get(
        next(kind for kind in (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, object) if isinstance(key, kind)),
        OKPAlgorithm,
    )
    return dict(algorithm.to_jwk(key.public_key(), as_dict=True))


def made(key: Any = SECRET, algorithm: str = "HS256", kid: str | None = None, **claims: Any) -> str:
    whole = {"sub": format_id(USER), "exp": NOW + 60, **claims}
    headers = {} if kid is None else {"kid": kid}
    payload = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(payload, key, algorithm, headers=headers)


def by_hand(header: object, claims: object, signature: bytes = b"x") -> str:
    def part(value: object) -> str:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    return ".".join((part(header), part(claims), part(signature)))


async def asked(authenticator: Authenticator, bearer_token: str, *more: tuple[bytes, bytes]) -> UserId:
    headers = [(b"host", b"x"), (b"authorization", b"Bearer " + bearer_token.encode()), *more]
    known = authenticator.recall(dict(headers), len(headers))
    return known or await authenticator.authenticate(headers)


async def refused(authenticator: Authenticator, bearer_token: str) -> str:
    with pytest.raises(ApiError) as caught:
        await asked(authenticator, bearer_token)
    assert caught.value.entry.code == "UNAUTHENTICATED"
    assert dict(caught.value.headers)[b"www-authenticate"].startswith(b"Bearer")
    return caught.value.faults[0].detail
