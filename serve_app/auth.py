"""Who is asking (R-SEC-1).

A bearer token is verified once and remembered until it expires: an RS256 check costs more than the rest of a
heartbeat. The memory is bounded, the oldest goes first; a key that is withdrawn takes what it signed with it.

The key decides the algorithm, never the token: ``none`` has no key, and a public key used as an HMAC secret meets the
HMAC secret instead.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any

import jwt
import msgspec
from jwt.utils import base64url_decode
from msgspec import Struct

from actors.domain.ids import UserId, parse_id
from actors.neighbours import NeighbourUnavailable
from serve_app.errors import ApiError
from serve_app.jwks import KeySource, Kid, VerificationKey
from serve_app.ports import TokenCheck
from serve_app.settings import AuthSettings

HMAC = "HS256"
SECOND_CHECK_S = 300.0
SECOND_CHECK_AWAY_S = 30.0
PUBLIC = frozenset({"RS256", "ES256", "EdDSA"})
GAME_SERVER = "game_server"
"""The role, in a token's claim ``roles``, of who may speak for other users' sessions (R-PT-7)."""
NO_ROLES: frozenset[str] = frozenset()


class _Header(Struct, frozen=True):
    alg: str
    kid: str | None = None


class _Claims(Struct, frozen=True):
    sub: str
    exp: float
    nbf: float | None = None
    aud: str | list[str] | None = None
    iss: str | None = None
    roles: Any = None


class _Remembered(Struct, frozen=True, gc=False):
    user_id: UserId
    expires_at: float
    kid: Kid
    roles: frozenset[str]


NO_KEY = ""
"""The key id of a token that no published key signed."""


def _digest(authorization: bytes) -> bytes:
    return blake2b(authorization, digest_size=32).digest()


def _canonical(authorization: bytes) -> bytes | None:
    """``Bearer <token>`` however it was spelled, so that a token is remembered once; None for what is none."""
    scheme, _, token = authorization.partition(b" ")
    token = token.strip()
    return b"Bearer " + token if scheme.lower() == b"bearer" and token else None


def _roles(claim: object) -> frozenset[str]:
    """A claim of another shape than a list of names gives no role; it does not spoil the token."""
    if not isinstance(claim, list) or not claim:
        return NO_ROLES
    return frozenset(role for role in claim if role == GAME_SERVER)


class BadToken(Exception):
    """``reason`` is a metric's label and comes from a short list; ``detail`` is for the client."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Authenticator:
    """``real_now`` is the wall clock in seconds: tokens live in real time, whatever the service's clock does."""

    def __init__(
        self,
        settings: AuthSettings,
        *,
        keys: KeySource | None,
        real_now: Callable[[], float],
        count_failure: Callable[[str], None],
        second_check: TokenCheck | None = None,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._real_now = real_now
        self._count_failure = count_failure
        self._second_check = second_check
        self._remembered: dict[bytes, _Remembered] = {}  # by digest: a token itself is ten times as long
        self._header = msgspec.json.Decoder(_Header)
        self._claims = msgspec.json.Decoder(_Claims)
        self._jws = jwt.PyJWS()

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> UserId:
        """The user, or ``ApiError``: 401, or 503 when the keys to tell are out of reach."""
        authorization: bytes | None = None
        for name, value in headers:
            if name == b"authorization":
                if authorization is not None:
                    raise self._refuse(BadToken("malformed", "more than one Authorization header"))
                authorization = value
        if self._settings.trust_gateway and (user_id := self._named_by_gateway(headers)) is not None:
            return user_id
        if authorization is None:
            raise self._refuse(BadToken("missing", "no bearer token"))
        return self.known(authorization) or await self._verify_and_remember(authorization)

    def recall(self, by_name: Mapping[bytes, bytes], count: int) -> UserId | None:
        """The shortest way: the user of a remembered token, None for all that needs a closer look.

        ``by_name`` is made of ``count`` headers; if some are repeated, ``authenticate`` decides what that means.
        """
        if len(by_name) != count or self._settings.trust_gateway:
            return None
        authorization = by_name.get(b"authorization")
        return None if authorization is None else self.known(authorization)

    def known(self, authorization: bytes) -> UserId | None:
        """The user of a canonical ``Authorization`` value that was verified before and has not expired."""
        digest = _digest(authorization)
        remembered = self._remembered.get(digest)
        if remembered is None:
            return None
        if self._real_now() < remembered.expires_at:
            return remembered.user_id
        del self._remembered[digest]
        return None

    def roles(self, headers: Iterable[tuple[bytes, bytes]]) -> frozenset[str]:
        """The roles that the token of a caller names who has just been authenticated; a gateway names none."""
        if self._settings.trust_gateway and any(name == b"x-user-id" for name, _ in headers):
            return NO_ROLES
        authorization = next((value for name, value in headers if name == b"authorization"), b"")
        remembered = self._remembered.get(_digest(_canonical(authorization) or b""))
        return NO_ROLES if remembered is None else remembered.roles

    @property
    def keys_check_s(self) -> float:
        return self._settings.jwks_check_s

    async def refresh_keys(self) -> None:
        """To be called every ``keys_check_s``; more often does no harm."""
        if self._keys is not None:
            await self._keys.refresh()
            self._forget_withdrawn(self._keys)

    def _forget_withdrawn(self, keys: KeySource) -> None:
        """What keys signed that are gone has to be looked at again."""
        if gone := keys.take_withdrawn():
            kept = {digest: token for digest, token in self._remembered.items() if token.kid not in gone}
            self._remembered = kept

    def _named_by_gateway(self, headers: Iterable[tuple[bytes, bytes]]) -> UserId | None:
        values = [value for name, value in headers if name == b"x-user-id"]
        if not values:
            return None
        if len(values) > 1:
            raise self._refuse(BadToken("malformed", "more than one X-User-Id header"))
        return self._user_of(values[0].decode("latin-1"), "X-User-Id")

    async def _verify_and_remember(self, authorization: bytes) -> UserId:
        canonical = _canonical(authorization)
        if canonical is None:
            raise self._refuse(BadToken("malformed", "the Authorization header is not `Bearer <token>`"))
        if canonical != authorization and (user_id := self.known(canonical)) is not None:
            return user_id
        token = canonical.removeprefix(b"Bearer ")
        try:
            claims, key = await self._verify(token)
            self._check(claims)
            good_until = claims.exp + self._settings.leeway_s
            if self._second_check is not None:
                good_until = min(good_until, self._real_now() + await self._look_again(self._second_check, token))
                self._check_key(key)
        except BadToken as bad:
            raise self._refuse(bad) from None
        user_id = self._user_of(claims.sub, "the token's subject")
        digest = _digest(canonical)
        if digest not in self._remembered and len(self._remembered) >= self._settings.remembered_tokens:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[digest] = _Remembered(user_id, good_until, key.kid, _roles(claims.roles))
        return user_id

    async def _look_again(self, second: TokenCheck, token: bytes) -> float:
        """For how many seconds that counts; ``BadToken`` for one that was withdrawn.

        When the Auth Service is away the first check counts alone, for a while: a player must not lose a session to
        somebody else's outage.
        """
        try:
            if not await second.is_valid(token.decode("ascii")):
                raise BadToken("withdrawn", "the token was withdrawn")
        except NeighbourUnavailable:
            self._count_failure("second_check_away")
            return SECOND_CHECK_AWAY_S
        return SECOND_CHECK_S

    async def _verify(self, token: bytes) -> tuple[_Claims, VerificationKey]:
        """The claims, and the key that signed them."""
        try:
            header = self._header.decode(base64url_decode(token.split(b".", 1)[0]))
        except (ValueError, RecursionError):
            raise BadToken("malformed", "the token is not a JWT") from None
        key = await self._key_for(header)
        try:
            decoded: dict[str, Any] = self._jws.decode_complete(token, key.key, algorithms=[key.algorithm])
        except jwt.InvalidSignatureError:
            raise BadToken("signature", "the token's signature is wrong") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise BadToken("malformed", "the token is not a JWT that can be verified") from None
        try:
            return self._claims.decode(decoded["payload"]), key
        except (ValueError, RecursionError):
            raise BadToken("claims", "the token lacks `sub` or `exp`, or a claim has the wrong type") from None

    async def _key_for(self, header: _Header) -> VerificationKey:
        if header.alg == HMAC:
            if self._settings.hs256_secret is None:
                raise BadToken("algorithm", "the token's algorithm is not accepted")
            return VerificationKey(kid=NO_KEY, algorithm=HMAC, key=self._settings.hs256_secret)
        if self._keys is None or header.alg not in PUBLIC:
            raise BadToken("algorithm", "the token's algorithm is not accepted")
        key = self._keys.find(header.kid)
        if key is None:
            await self._keys.refresh_for_unknown_key()
            self._forget_withdrawn(self._keys)
            key = self._keys.find(header.kid)
        if key is None and not self._keys.certain:
            self._count_failure("keys_away")
            raise ApiError("SERVICE_UNAVAILABLE", "the keys of tokens cannot be read now", retry_after_s=1)
        if key is None:
            raise BadToken("key", "the token is signed by an unknown key")
        if key.algorithm != header.alg:
            raise BadToken("algorithm", "the token's algorithm does not belong to its key")
        return key

    def _check_key(self, key: VerificationKey) -> None:
        """A published key may have been withdrawn while its token was looked at."""
        if key.algorithm != HMAC and (self._keys is None or self._keys.find(key.kid) != key):
            raise BadToken("key", "the token is signed by an unknown key")

    def _check(self, claims: _Claims) -> None:
        now, leeway = self._real_now(), self._settings.leeway_s
        if now >= claims.exp + leeway:
            raise BadToken("expired", "the token has expired")
        if claims.nbf is not None and now < claims.nbf - leeway:
            raise BadToken("not_yet", "the token is not valid yet")
        audience, issuer = self._settings.audience, self._settings.issuer
        if audience is not None:
            named = [claims.aud] if isinstance(claims.aud, str) else claims.aud or []
            if audience not in named:
                raise BadToken("audience", "the token is for another audience")
        if issuer is not None and claims.iss != issuer:
            raise BadToken("issuer", "the token comes from another issuer")

    def _user_of(self, text: str, what: str) -> UserId:
        try:
            return UserId(parse_id(text))
        except ValueError:
            raise self._refuse(BadToken("subject", f"{what} is not a user id")) from None

    def _refuse(self, bad: BadToken) -> ApiError:
        self._count_failure(bad.reason)
        challenge = b"Bearer"
        if bad.reason != "missing":
            challenge += b' error="invalid_token", error_description="' + bad.detail.replace("`", "'").encode() + b'"'
        return ApiError("UNAUTHENTICATED", bad.detail, headers=((b"www-authenticate", challenge),))
