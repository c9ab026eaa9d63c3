"""Keys from a file: rotated, broken, away (R-SEC-1)."""

import asyncio
import base64
from pathlib import Path

import pytest

from serve_app.errors import ApiError
from tests.support.door import SECRET, USER
from tests.support.tokens import (
    P256,
    P384,
    RSA,
    SMALL_RSA,
    World,
    asked,
    made,
    public,
    refused,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_new_key_is_found_at_once_and_a_withdrawn_one_ends_its_tokens(world: World) -> None:
    """R-SEC-1: rotation."""
    world.publish(old=RSA)
    authenticator = world.authenticator(hs256_secret=None)
    await authenticator.refresh_keys()
    old, new = made(RSA, "RS256", "old"), made(P256, "ES256", "new")
    assert await asked(authenticator, old) == USER
    world.publish(new=P256)
    assert await asked(authenticator, new) == USER
    await refused(authenticator, old)


async def test_a_client_that_leaves_while_the_file_is_read_saves_no_withdrawn_key(world: World) -> None:
    """R-SEC-1: its look finds the rotation, and nobody waits for what it found."""
    world.publish(old=RSA)
    authenticator = world.authenticator(hs256_secret=None)
    await authenticator.refresh_keys()
    old = made(RSA, "RS256", "old")
    assert await asked(authenticator, old) == USER
    world.publish(new=P256)
    leaving = asyncio.create_task(
        authenticator.authenticate([(b"authorization", b"Bearer " + made(P256, "ES256", "new").encode())])
    )
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await authenticator.refresh_keys()
    await refused(authenticator, old)


async def test_unknown_keys_reach_the_disk_only_once_in_a_while(world: World) -> None:
    """R-SEC-1: whoever invents key ids cannot make the door read its file for each."""
    world.publish(old=RSA)
    authenticator = world.authenticator(hs256_secret=None)
    await refused(authenticator, made(P256, "ES256", "new"))
    world.publish(old=RSA, new=P256)
    await refused(authenticator, made(P256, "ES256", "new"))
    world.monotonic = 5.0
    assert await asked(authenticator, made(P256, "ES256", "new")) == USER


@pytest.mark.parametrize(
    "broken", ["", "{", "[]", '{"keys": 1}', '{"keys": []}', '{"keys": [1]}', '{"keys": [{"kty": "RSA"}]}']
)
async def test_a_broken_file_keeps_the_last_good_keys(world: World, broken: str) -> None:
    world.publish(one=RSA)
    authenticator = world.authenticator(hs256_secret=None)
    await authenticator.refresh_keys()
    world.file.write_text(broken)
    await authenticator.refresh_keys()
    assert await asked(authenticator, made(RSA, "RS256", "one")) == USER
    world.file.unlink()
    await authenticator.refresh_keys()
    assert await asked(authenticator, made(RSA, "RS256", "one", jti="2")) == USER


async def test_all_who_have_a_new_key_wait_for_the_one_look_at_the_file(world: World) -> None:
    """R-SEC-1: a rotation refuses nobody."""
    world.publish(old=RSA)
    authenticator = world.authenticator(hs256_secret=None)
    await authenticator.refresh_keys()
    world.publish(new=P256)
    tokens = [made(P256, "ES256", "new", jti=str(number)) for number in range(3)]
    assert await asyncio.gather(*(asked(authenticator, one) for one in tokens)) == [USER] * 3


async def test_without_a_good_file_an_unknown_key_is_nobodys_fault(world: World) -> None:
    """R-SEC-1: 503, the token may be good; 401 again once the file can tell."""
    authenticator = world.authenticator(hs256_secret=None)
    new = made(P256, "ES256", "new")
    for content in (None, "{"):
        if content is not None:
            world.file.write_text(content)
        await authenticator.refresh_keys()
        with pytest.raises(ApiError) as away:
            await asked(authenticator, new)
        assert away.value.entry.code == "SERVICE_UNAVAILABLE"
    world.publish(old=RSA)
    await authenticator.refresh_keys()
    await refused(authenticator, new)


async def test_keys_that_are_weak_secret_or_for_other_uses_are_left_out(world: World) -> None:
    """R-SEC-1: a shared secret in a public file, 1,024 bits, another curve, encryption keys."""
    world.publish_raw(
        {
            "keys": [
                {"kty": "oct", "k": base64.urlsafe_b64encode(SECRET).decode(), "kid": "secret", "alg": "HS256"},
                {**public(SMALL_RSA), "kid": "small"},
                {**public(P384), "kid": "p384"},
                {**public(P256), "kid": "enc", "use": "enc"},
                {**public(RSA), "kid": "ps", "alg": "PS256"},
                {**public(RSA), "kid": "good"},
            ]
        }
    )
    await world.keys.refresh()
    found = {kid: world.keys.find(kid) for kid in ("secret", "small", "p384", "enc", "ps", "good")}
    assert [kid for kid, key in found.items() if key is not None] == ["good"]


async def test_without_a_key_id_the_only_key_is_meant(world: World) -> None:
    world.publish(one=RSA)
    authenticator = world.authenticator(hs256_secret=None)
    await authenticator.refresh_keys()
    assert await asked(authenticator, made(RSA, "RS256")) == USER
    world.publish(one=RSA, two=P256)
    await authenticator.refresh_keys()
    await refused(authenticator, made(RSA, "RS256", jti="2"))
