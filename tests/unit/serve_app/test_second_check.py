"""The Auth Service's second look at tokens, over real gRPC (R-CFG-2, R-SEC-1)."""

import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import jwt
import pytest
from auth.v1.auth_service_pb2 import ValidateTokenRequest, ValidateTokenResponse
from auth.v1.auth_service_pb2_grpc import AuthServiceServicer, add_AuthServiceServicer_to_server
from cryptography.hazmat.primitives.asymmetric import ec
from grpc import aio
from jwt.algorithms import ECAlgorithm

from actors.domain.ids import format_id
from cluster.development import NO_SERVERS
from cluster.settings import load_settings
from cluster.wiring.neighbours import Neighbours
from serve_app.auth import Authenticator
from serve_app.errors import ApiError
from serve_app.jwks_file import JwksFile
from serve_app.settings import AuthSettings
from tests.support.door import SECRET, USER, token


class AuthServer(AuthServiceServicer):
    """Knows which tokens were withdrawn."""

    def __init__(self) -> None:
        self.withdrawn: set[str] = set()
        self.asked = 0

    async def ValidateToken(self, request: ValidateTokenRequest, context: object) -> ValidateTokenResponse:
        self.asked += 1
        return ValidateTokenResponse(valid=request.token not in self.withdrawn)


@dataclass
class World:
    authenticator: Authenticator
    service: AuthServer
    server: aio.Server
    failures: Counter[str]
    clock: list[float] = field(default_factory=lambda: [time.time()])

    async def ask(self, bearer: str) -> object:
        headers = [(b"authorization", b"Bearer " + bearer.encode())]
        known = self.authenticator.recall(dict(headers), 1)
        try:
            return known or await self.authenticator.authenticate(headers)
        except ApiError as refused:
            return refused.entry.code


@pytest.fixture
async def world() -> AsyncIterator[World]:
    service, server = AuthServer(), aio.server()
    add_AuthServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    variables = {"LIBRARY_ENVIRONMENT": "development", "AUTH_SERVICE_GRPC_ADDR": f"127.0.0.1:{port}", **NO_SERVERS}
    neighbours = Neighbours(load_settings(variables))
    failures: Counter[str] = Counter()
    clock = [time.time()]
    authenticator = Authenticator(
        AuthSettings(hs256_secret=SECRET),
        keys=None,
        real_now=lambda: clock[0],
        count_failure=lambda reason: failures.update([reason]),
        second_check=neighbours.token_check,
    )
    yield World(authenticator, service, server, failures, clock)
    await neighbours.close()
    await server.stop(None)


async def test_a_withdrawn_token_is_refused_and_a_good_one_is_asked_about_every_five_minutes(world: World) -> None:
    good, withdrawn = token(), token(jti="2")
    world.service.withdrawn.add(withdrawn)
    assert await world.ask(withdrawn) == "UNAUTHENTICATED"
    for _ in range(3):
        assert await world.ask(good) == USER
    assert world.service.asked == 2
    world.service.withdrawn.add(good)
    world.clock[0] += 299
    assert await world.ask(good) == USER
    world.clock[0] += 2
    assert await world.ask(good) == "UNAUTHENTICATED"
    assert world.failures == {"withdrawn": 2}


async def test_a_token_that_is_bad_by_itself_is_not_asked_about(world: World) -> None:
    assert await world.ask(token(exp=1)) == "UNAUTHENTICATED"
    assert world.service.asked == 0


async def test_while_the_service_is_away_the_first_check_counts_alone_for_a_while(world: World) -> None:
    await world.server.stop(None)
    good = token()
    assert await world.ask(good) == USER
    assert await world.ask("x.y.z") == "UNAUTHENTICATED"
    world.clock[0] += 29
    assert await world.ask(good) == USER
    assert world.failures == {"second_check_away": 1, "malformed": 1}
    world.clock[0] += 2
    assert await world.ask(good) == USER
    assert world.failures["second_check_away"] == 2


@pytest.mark.parametrize("after", ["new", "old"])
async def test_a_key_that_is_withdrawn_during_the_second_look_lets_nobody_in(tmp_path: Path, after: str) -> None:
    """R-SEC-1: what is forgotten then is not remembered afterwards."""
    signing, successor = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    file = tmp_path / "jwks.json"

    def publish(**keys: ec.EllipticCurvePrivateKey) -> None:
        entries = [{**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid} for kid, key in keys.items()]
        file.write_text(json.dumps({"keys": entries}))

    class Slow:
        async def is_valid(self, token: str) -> bool:
            publish(**{after: successor})
            await authenticator.refresh_keys()
            return True

    failures: Counter[str] = Counter()
    publish(old=signing)
    authenticator = Authenticator(
        AuthSettings(jwks_file=file),
        keys=JwksFile(file, check_s=5, monotonic=time.monotonic),
        real_now=time.time,
        count_failure=lambda reason: failures.update([reason]),
        second_check=Slow(),
    )
    await authenticator.refresh_keys()
    signed = jwt.encode({"sub": format_id(USER), "exp": time.time() + 60}, signing, "ES256", {"kid": "old"})
    bearer = b"Bearer " + signed.encode()
    with pytest.raises(ApiError):
        await authenticator.authenticate([(b"authorization", bearer)])
    assert authenticator.known(bearer) is None
    assert failures == {"key": 1}
