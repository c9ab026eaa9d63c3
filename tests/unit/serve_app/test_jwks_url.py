"""Keys from an address: rotated, refreshed, and kept while it is away (R-SEC-1)."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from actors.domain.ids import UserId, format_id
from serve_app.auth import Authenticator
from serve_app.errors import ApiError
from serve_app.jwks_url import JwksUrl
from serve_app.settings import AuthSettings
from tests.support.door import BASE, OTHER_USER, USER, open_door, until
from tests.support.jwks_server import JwksServer, jwks_server

NOW = 1_700_000_000.0
OLD = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
NEW = ec.generate_private_key(ec.SECP256R1())
THIRD = ed25519.Ed25519PrivateKey.generate()
KINDS: dict[str, tuple[Any, Any, str]] = {
    "old": (OLD, RSAAlgorithm, "RS256"),
    "new": (NEW, ECAlgorithm, "ES256"),
    "third": (THIRD, OKPAlgorithm, "EdDSA"),
}


class World:
    """Keys at an address, an authenticator that reads them there, and a clock that the test sets."""

    def __init__(self, server: JwksServer) -> None:
        self.server = server
        self.monotonic = 0.0
        self.failures: Counter[str] = Counter()
        source = JwksUrl(server.url, refresh_s=300, retry_s=5, timeout_s=0.5, monotonic=lambda: self.monotonic)
        self.authenticator = Authenticator(
            AuthSettings(jwks_url=server.url),
            keys=source,
            real_now=lambda: NOW,
            count_failure=lambda reason: self.failures.update([reason]),
        )

    def publish(self, *kids: str) -> None:
        self.server.keys = [
            {**KINDS[kid][1].to_jwk(KINDS[kid][0].public_key(), as_dict=True), "kid": kid} for kid in kids
        ]

    async def ask(self, kid: str, user: UserId = USER, **claims: Any) -> UserId | str:
        """The user, or the code of the refusal."""
        try:
            return await self.authenticator.authenticate([(b"authorization", bearer(kid, user, **claims))])
        except ApiError as refused:
            return refused.entry.code

    async def pass_time(self, seconds: float) -> None:
        self.monotonic += seconds
        await self.authenticator.refresh_keys()


@cache
def bearer(kid: str, user: UserId = USER, signed_by: str | None = None, exp: float = NOW + 60) -> bytes:
    """Once each: an ES256 signature is another one every time."""
    key, _, algorithm = KINDS[signed_by or kid]
    return b"Bearer " + jwt.encode({"sub": format_id(user), "exp": exp}, key, algorithm, {"kid": kid}).encode()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with jwks_server() as server:
        made = World(server)
        made.publish("old")
        await made.authenticator.refresh_keys()
        yield made


async def test_an_unknown_key_asks_at_once_and_all_who_have_it_wait_for_one_answer(world: World) -> None:
    """R-SEC-1: rotation. Coalesced; all three kinds of keys."""
    assert await world.ask("old") == USER
    world.publish("old", "new", "third")
    world.monotonic += 6
    users = [UserId(bytes([number]) * 16) for number in range(20)]
    assert await asyncio.gather(*(world.ask("new", user) for user in users)) == users
    assert world.server.asked == 2
    assert await world.ask("third") == USER


async def test_invented_keys_reach_the_address_once_in_a_while(world: World) -> None:
    """R-SEC-1: rate limited, whoever asks."""
    for _ in range(50):
        assert await world.ask("nobody's", signed_by="new") == "UNAUTHENTICATED"
    assert world.server.asked == 1
    world.monotonic += 6
    for _ in range(50):
        assert await world.ask("nobody's", signed_by="new") == "UNAUTHENTICATED"
    assert world.server.asked == 2


async def test_a_key_that_disappears_ends_what_it_signed_and_nothing_else(world: World) -> None:
    """R-SEC-1: found by the refresh that comes every five minutes."""
    world.publish("old", "new")
    await world.pass_time(301)
    assert [await world.ask("old"), await world.ask("new", OTHER_USER)] == [USER, OTHER_USER]
    world.publish("new")
    await world.pass_time(200)
    assert world.authenticator.known(bearer("old")) == USER
    await world.pass_time(101)
    assert world.authenticator.known(bearer("old")) is None
    assert world.authenticator.known(bearer("new", OTHER_USER)) == OTHER_USER
    assert await world.ask("old") == "UNAUTHENTICATED"


async def test_a_client_that_leaves_during_the_fetch_saves_no_withdrawn_key(world: World) -> None:
    """R-SEC-1: the fetch goes on, and what it finds is told to whoever asks next."""
    assert await world.ask("old") == USER
    world.publish("new")
    world.monotonic += 6
    world.server.hold = asyncio.Event()
    leaving = asyncio.create_task(world.ask("new"))
    await until(lambda: world.server.asked == 2)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    world.server.hold.set()
    await until(lambda: world.authenticator._keys.find("new") is not None)  # type: ignore[union-attr]
    await world.authenticator.refresh_keys()
    assert world.server.asked == 2
    assert world.authenticator.known(bearer("old")) is None


async def test_a_key_that_became_another_ends_what_it_signed(world: World) -> None:
    """R-SEC-1: the same id, a new key."""
    assert await world.ask("old") == USER
    world.publish("new")
    world.server.keys[0]["kid"] = "old"
    await world.pass_time(301)
    assert world.authenticator.known(bearer("old")) is None
    assert await world.ask("old") == "UNAUTHENTICATED"
    assert await world.ask("old", signed_by="new") == USER


@pytest.mark.parametrize("how", ["status", "noise", "empty", "deep", "large", "redirect", "slow"])
async def test_an_address_that_is_away_or_wrong_keeps_the_last_keys(world: World, how: str) -> None:
    """R-SEC-1: with a deadline; what it cannot tell is a 503, not a 401 that would log the player out."""
    server = world.server
    match how:
        case "status":
            server.status = 500
        case "redirect":
            server.status = 302
        case "slow":
            server.hold = asyncio.Event()
        case _:
            server.body = {"noise": b"<html>", "empty": b'{"keys":[]}', "deep": b"[" * 99_999, "large": b" " * 2**21}[
                how
            ]
    await world.pass_time(301)
    assert server.asked == 2
    assert await world.ask("old", OTHER_USER) == OTHER_USER
    assert await world.ask("new") == "SERVICE_UNAVAILABLE"
    assert await world.ask("old", signed_by="third") == "UNAUTHENTICATED"
    world.publish("old", "new")
    server.status, server.body, server.hold = 200, None, None
    await world.pass_time(6)
    assert await world.ask("new") == USER
    assert world.failures == {"keys_away": 1, "algorithm": 1}


async def test_a_door_opens_while_the_address_is_away(run_dir: Path) -> None:
    """R-SEC-1, R-NFR-4: nobody is told that a token is bad before a key was ever read."""
    async with jwks_server() as server:
        server.status = 503
        async with open_door(run_dir, auth=AuthSettings(jwks_url=server.url, jwks_check_s=0.02)) as door:
            headers = {"authorization": bearer("old", exp=time.time() + 60).decode()}
            answer = await door.client.get(f"{BASE}/items", headers=headers)
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            for headers, status in ((({"authorization": "Bearer x.y.z"}), 401), ({}, 401)):
                assert (await door.client.get(f"{BASE}/items", headers=headers)).status_code == status
