"""Who is believed, and who is not (R-SEC-1)."""

import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from actors.domain.ids import format_id
from serve_app.errors import ApiError
from tests.support.door import BASE, OTHER_USER, SECRET, USER, OpenDoor, bearer, code_of, token
from tests.support.tokens import (
    ED25519,
    NOW,
    P256,
    PEM,
    RSA,
    World,
    asked,
    by_hand,
    made,
    public,
    refused,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def hmac_with_public_key() -> str:
    """What a library that takes any key for any algorithm would believe."""
    signing = jwt.api_jws.PyJWS()
    signing.get_algorithm_by_name("HS256").prepare_key = lambda key: key  # type: ignore[method-assign, assignment]
    return signing.encode(json.dumps({"sub": format_id(USER), "exp": NOW + 60}).encode(), PEM, "HS256", {"kid": "rsa"})


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA, "RS256"), (P256, "ES256"), (ED25519, "EdDSA")], ids=["RS256", "ES256", "EdDSA"]
)
async def test_a_token_signed_by_a_published_key_is_believed(world: World, key: Any, algorithm: str) -> None:
    """R-SEC-1."""
    world.publish(one=key, other=RSA if key is not RSA else P256)
    authenticator = world.authenticator()
    await authenticator.refresh_keys()
    assert await asked(authenticator, made(key, algorithm, "one")) == USER


BAD: list[tuple[str, str, str]] = [
    ("nothing", "", "malformed"),
    ("noise", "noise", "malformed"),
    ("dots", "..", "malformed"),
    ("alg none", jwt.encode({"sub": format_id(USER), "exp": NOW + 60}, None, "none"), "algorithm"),
    ("alg None", by_hand({"alg": "None"}, {"sub": format_id(USER), "exp": NOW + 60}, b""), "algorithm"),
    ("alg missing", by_hand({"typ": "JWT"}, {}), "malformed"),
    ("alg a list", by_hand({"alg": ["RS256"]}, {}), "malformed"),
    ("header not an object", by_hand([], {}), "malformed"),
    ("header deep", by_hand(b'{"alg":"HS256","x":' + b"[" * 20_000, {}), "malformed"),
    ("header not UTF-8", by_hand(b'{"alg":"\xff"}', {}), "malformed"),
    ("a key in the token itself", by_hand({"alg": "RS256", "jwk": public(RSA)}, {}), "key"),
    ("critical extension", by_hand({"alg": "HS256", "crit": ["exp"]}, {}), "malformed"),
    ("wrong secret", made(b"another secret of 32 bytes long!"), "signature"),
    ("cut signature", made()[:-3], "signature"),
    (
        "changed claims",
        ".".join((made().split(".")[0], made(sub=format_id(OTHER_USER)).split(".")[1], made().split(".")[2])),
        "signature",
    ),
    ("HS512", made(algorithm="HS512", key=SECRET * 2), "algorithm"),
    ("key confusion: public key as HMAC secret", hmac_with_public_key(), "signature"),
    ("key confusion: RSA key, ES256", made(P256, "ES256", "rsa"), "algorithm"),
    ("key confusion: RSA key, RS512", made(RSA, "RS512", "rsa"), "algorithm"),
    ("key confusion: RSA key, PS256", made(RSA, "PS256", "rsa"), "algorithm"),
    ("HS256 naming the RSA key", made(kid="rsa", key=b"another secret of 32 bytes long!"), "signature"),
    ("unknown key", made(P256, "ES256", "nobody's"), "key"),
    ("published kid, another key", made(P256, "ES256", "ec2"), "signature"),
    ("expired", made(exp=NOW), "expired"),
    ("no expiry", made(exp=None), "claims"),
    ("not yet", made(nbf=NOW + 1), "not_yet"),
    ("no audience", made(aud=None), "audience"),
    ("another audience", made(aud="shop"), "audience"),
    ("other audiences", made(aud=["shop", "forum"]), "audience"),
    ("audience a number", made(aud=1), "claims"),
    ("another issuer", made(iss="https://elsewhere"), "issuer"),
    ("no issuer", made(iss=None), "issuer"),
    ("no subject", made(sub=None), "claims"),
    ("subject a name", made(sub="alice"), "subject"),
    ("subject empty", made(sub=""), "subject"),
]


@pytest.mark.parametrize(("bad", "reason"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
async def test_what_is_wrong_with_a_token_is_found(world: World, bad: str, reason: str) -> None:
    """R-SEC-1: exp, nbf, aud, iss; ``alg: none``; key confusion. The reason is counted, the caller gets a 401."""
    other = ec.generate_private_key(ec.SECP256R1())
    world.publish(rsa=RSA, ec=P256, ec2=other)
    settings = {"audience": {"audience": "library"}, "issuer": {"issuer": "https://auth"}}.get(reason, {})
    authenticator = world.authenticator(**settings)
    await authenticator.refresh_keys()
    detail = await refused(authenticator, bad)
    assert world.failures == {reason: 1}
    assert "Traceback" not in detail


async def test_audience_and_issuer_that_are_asked_for_are_believed(world: World) -> None:
    """R-SEC-1."""
    world.publish(rsa=RSA)
    authenticator = world.authenticator(audience="library", issuer="https://auth")
    for audience in ("library", ["shop", "library"]):
        assert await asked(authenticator, made(aud=audience, iss="https://auth", nbf=NOW)) == USER


async def test_without_a_secret_no_hmac_is_believed(world: World) -> None:
    """R-SEC-1: HS256 is for development."""
    world.publish(rsa=RSA)
    authenticator = world.authenticator(hs256_secret=None)
    await authenticator.refresh_keys()
    await refused(authenticator, made())
    assert world.failures == {"algorithm": 1}


async def test_a_remembered_token_is_forgotten_when_it_expires(world: World) -> None:
    """R-SEC-1: remembered until it expires, by the wall clock and the leeway."""
    world.publish(rsa=RSA)
    authenticator = world.authenticator(leeway_s=2)
    one = made(exp=NOW + 10)
    assert await asked(authenticator, one) == USER
    assert authenticator.known(b"Bearer " + one.encode()) == USER
    world.now = NOW + 11.9
    assert await asked(authenticator, one) == USER
    world.now = NOW + 12.0
    assert authenticator.known(b"Bearer " + one.encode()) is None
    await refused(authenticator, one)
    assert world.failures == {"expired": 1}


async def test_the_memory_of_tokens_is_bounded(world: World) -> None:
    """Promise 6; the oldest goes first."""
    authenticator = world.authenticator(remembered_tokens=3)
    tokens = [made(jti=str(number)) for number in range(5)]
    for one in tokens:
        await asked(authenticator, one)
    known = [authenticator.known(b"Bearer " + one.encode()) is not None for one in tokens]
    assert known == [False, False, True, True, True]


async def test_a_token_is_remembered_once_however_it_is_spelled(world: World) -> None:
    """Promise 6: else one client's token would push out everybody else's, and each spelling cost a verification."""
    authenticator = world.authenticator(remembered_tokens=2)
    one, other = made(), made(sub=format_id(OTHER_USER), roles=["game_server"])
    await asked(authenticator, one)
    for spelled in ("bearer ", "BEARER ", "Bearer  ", "Bearer "):
        headers = [(b"authorization", spelled.encode() + other.encode())]
        assert await authenticator.authenticate(headers) == OTHER_USER
        assert authenticator.roles(headers) == {"game_server"}
    assert authenticator.known(b"Bearer " + one.encode()) == USER


async def test_a_bad_token_is_never_remembered(world: World) -> None:
    authenticator = world.authenticator()
    bad = made(b"another secret of 32 bytes long!")
    await refused(authenticator, bad)
    await refused(authenticator, bad)
    assert world.failures == {"signature": 2}


async def test_the_gateways_word_counts_only_where_it_is_trusted(world: World) -> None:
    """R-SEC-1: ``X-User-Id``."""
    named = (b"x-user-id", format_id(OTHER_USER).encode())
    assert await asked(world.authenticator(jwks_file=None), made(), named) == USER
    trusting = world.authenticator(jwks_file=None, trust_gateway=True)
    assert await asked(trusting, made(), named) == OTHER_USER
    assert await asked(trusting, made()) == USER
    assert await asked(trusting, made(), named) == OTHER_USER
    for wrong in ([named, named], [(b"x-user-id", b"alice")], [(b"x-user-id", b"")]):
        with pytest.raises(ApiError):
            await trusting.authenticate(wrong)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Basic dTpw"},
        {"authorization": token()},
        {"authorization": "Bearer " + "a" * 8_000},
        {"x-user-id": format_id(USER)},
    ],
)
@pytest.mark.parametrize("path", ["items", "playtime/sessions", "playtime/stats", "playtime/sessions/start"])
async def test_who_is_not_authenticated_gets_nowhere(door: OpenDoor, headers: dict[str, str], path: str) -> None:
    """R-SEC-1, R-ERR-1: before anything else is looked at."""
    method = "POST" if path.endswith("start") else "GET"
    answer = await door.client.request(method, f"{BASE}/{path}?bad=1", headers=headers)
    assert (answer.status_code, code_of(answer)) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert door.engine.calls == []


async def test_a_remembered_token_next_to_another_is_one_too_many(world: World) -> None:
    """Which one counts must not depend on who reads them."""
    authenticator = world.authenticator(jwks_file=None)
    assert await asked(authenticator, made()) == USER
    with pytest.raises(ApiError):
        await asked(authenticator, made(sub=format_id(OTHER_USER)), (b"authorization", b"Bearer " + made().encode()))


async def test_two_tokens_are_one_too_many(door: OpenDoor) -> None:
    sent = f"GET {BASE}/items HTTP/1.1\r\nauthorization: Bearer {token()}\r\nauthorization: Bearer {token()}\r\n"
    received = await door.raw(sent.encode() + b"connection: close\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 401 ")


async def test_the_scheme_may_be_written_in_any_case(door: OpenDoor) -> None:
    assert (await door.client.get(f"{BASE}/items", headers={"authorization": f"bEaReR {token()}"})).status_code == 200


async def test_failures_are_counted_by_reason(door: OpenDoor) -> None:
    """R-OBS-1."""
    await door.client.get(f"{BASE}/items")
    await door.client.get(f"{BASE}/items", headers={"authorization": "Bearer x"})
    assert (await door.client.get(f"{BASE}/items", headers=bearer())).status_code == 200
    page = (await door.client.get("/metrics")).text
    assert 'library_auth_failures_total{process="door",reason="missing"} 1.0' in page
    assert 'library_auth_failures_total{process="door",reason="malformed"} 1.0' in page
