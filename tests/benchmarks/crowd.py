"""Who plays: users with a token each, and their requests as bytes on the wire.

Signing 100,000 tokens is the slowest part of a run's preparation, so it takes every core, while servers start.
"""

import base64
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from actors.domain.ids import OrderId, ProductId, SessionId, UserId, format_id

KEY_ID = "bench"
TOKEN_LIFE_S = 6 * 3600
USERS_A_TASK = 2_000
SESSIONS_PATH = "/api/v1/library/playtime/sessions"
SEPARATOR = b"\0"


def named_id(name: str) -> bytes:
    """16 bytes that look random and are the same in every run."""
    return sha256(name.encode()).digest()[:16]


GAMES = (ProductId(named_id("game 1")), ProductId(named_id("game 2")))
"""Everybody owns both: the first is played from the beginning, the second is for starts."""


@dataclass(frozen=True, kw_only=True)
class Crowd:
    users: Sequence[UserId]
    tokens: Sequence[str]

    def order_of(self, user_id: UserId) -> OrderId:
        return OrderId(sha256(b"order" + user_id).digest()[:16])


class SigningKey:
    """Signs as an identity provider would; shows its public half as a JWKS file."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def write_jwks(self, path: Path) -> None:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        path.write_text(json.dumps({"keys": [{**public, "kid": KEY_ID, "use": "sig", "alg": "RS256"}]}))

    def sign_for(self, users: Sequence[UserId]) -> list[str]:
        """A token for each, in their order."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        parts = [users[first : first + USERS_A_TASK] for first in range(0, len(users), USERS_A_TASK)]
        with ProcessPoolExecutor(max_workers=os.cpu_count()) as workers:
            signed = workers.map(_sign, [pem] * len(parts), parts)
            return [token for part in signed for token in part]


def make_users(count: int) -> list[UserId]:
    return [UserId(named_id(f"user {number}")) for number in range(count)]


def write_heartbeats(path: Path, crowd: Crowd, sessions: Sequence[SessionId]) -> None:
    """One heartbeat of each user's session."""
    _write(
        path,
        (
            _request(f"{SESSIONS_PATH}/{format_id(session)}/heartbeat", token, b"")
            for token, session in zip(crowd.tokens, sessions, strict=True)
        ),
    )


def write_starts(path: Path, crowd: Crowd) -> None:
    """One start of each user's second game."""
    asked = {
        "data": {
            "type": "playtimeSessionStart",
            "attributes": {"product_id": format_id(GAMES[1]), "platform": "pc", "device_id": "bench"},
        }
    }
    body = json.dumps(asked, separators=(",", ":")).encode()
    _write(path, (_request(f"{SESSIONS_PATH}/start", token, body) for token in crowd.tokens))


def _write(path: Path, requests: Iterator[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(one + SEPARATOR for one in requests)


def _request(path: str, token: str, body: bytes) -> bytes:
    about_body = "Content-Type: application/json\r\n" if body else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n{about_body}"
        f"Content-Length: {len(body)}\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    return head.encode() + body


def _sign(pem: bytes, users: Sequence[UserId]) -> list[str]:
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    now = int(time.time())
    head = _base64(json.dumps({"alg": "RS256", "kid": KEY_ID, "typ": "JWT"}).encode())
    tokens = []
    for user_id in users:
        claims = {"sub": format_id(user_id), "iat": now, "exp": now + TOKEN_LIFE_S}
        signed = head + b"." + _base64(json.dumps(claims).encode())
        signature = key.sign(signed, padding.PKCS1v15(), SHA256())
        tokens.append((signed + b"." + _base64(signature)).decode())
    return tokens


def _base64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
