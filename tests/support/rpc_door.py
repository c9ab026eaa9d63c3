"""A gRPC door with mTLS on a free loopback port in front of ``RuleEngine``, and a client of grpcio's for it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from library.v1 import library_query_service_pb2 as pb
from library.v1 import library_session_service_pb2 as session_pb
from library.v1.library_query_service_pb2_grpc import LibraryQueryServiceStub
from library.v1.library_session_service_pb2_grpc import LibrarySessionServiceStub
from prometheus_client import CollectorRegistry

from actors.certificates import CertificateFiles
from actors.domain.commands import StartSession
from actors.domain.ids import ProductId, UserId, format_id
from actors.domain.replies import SessionIsLive
from actors.telemetry.exposition import new_registry
from serve_app.authentication import new_authenticator
from serve_app.rpc.callers import Role
from serve_app.rpc.door import RpcDoor
from serve_app.rpc.settings import RpcSettings, Server
from serve_app.settings import AuthSettings
from tests.support.certificates import Authority
from tests.support.door import GAME, OTHER_GAME, OTHER_USER, SECRET, USER, token
from tests.support.rule_engine import RuleEngine

__all__ = ["GAME", "OTHER_GAME", "OTHER_USER", "USER", "OpenRpcDoor", "open_rpc_door", "token"]

READER, GAME_SERVER, GATEWAY = "download-service", "game-server", "gateway"


@dataclass(frozen=True)
class Credential:
    """What a client shows."""

    certificate: Path
    key: Path
    ca: Path

    def channel_credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.ca.read_bytes(), self.key.read_bytes(), self.certificate.read_bytes())


class OpenRpcDoor:
    """``caller`` is the name in the client's certificate; each has a channel of its own."""

    def __init__(
        self, door: RpcDoor, engine: RuleEngine, authority: Authority, folder: Path, registry: CollectorRegistry
    ) -> None:
        self.door = door
        self._registry = registry
        self.engine = engine
        self.authority = authority
        self.folder = folder
        self._channels: dict[str, aio.Channel] = {}
        self._credentials: dict[str, Credential] = {}

    @property
    def port(self) -> int:
        return self.door.port

    def credential(self, caller: str = READER) -> Credential:
        if caller not in self._credentials:
            self._credentials[caller] = Credential(*self.authority.issue(caller), self.authority.file)
        return self._credentials[caller]

    def channel(self, caller: str = READER, options: Sequence[tuple[str, Any]] = ()) -> aio.Channel:
        """Without ``options`` always the same one."""
        if caller in self._channels and not options:
            return self._channels[caller]
        credentials = self.credential(caller).channel_credentials()
        made = aio.secure_channel(f"localhost:{self.port}", credentials, options=list(options))
        self._channels[caller if not options else f"{caller} {len(self._channels)}"] = made
        return made

    def queries(self, caller: str = READER) -> Any:
        return LibraryQueryServiceStub(self.channel(caller))

    def sessions(self, caller: str = GAME_SERVER) -> Any:
        return LibrarySessionServiceStub(self.channel(caller))

    def calls_that_ended(self, path: str, code: str) -> float:
        """As the door counted them."""
        return self._registry.get_sample_value("library_grpc_calls_total", {"method": path, "code": code}) or 0.0

    async def start_session(self, user: UserId = USER, product: ProductId = GAME) -> bytes:
        reply = await self.engine.call(user, StartSession(product), timeout_s=1.0)
        assert isinstance(reply, SessionIsLive)
        return reply.session.session_id

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()


def access(user: UserId = USER, product: ProductId = GAME) -> pb.CheckGameAccessRequest:
    return pb.CheckGameAccessRequest(user_id=format_id(user), product_id=format_id(product))


def beats(*pairs: tuple[UserId, bytes]) -> session_pb.StreamHeartbeatsRequest:
    return session_pb.StreamHeartbeatsRequest(
        heartbeats=[
            session_pb.SessionHeartbeat(user_id=format_id(user), session_id=format_id(session))
            for user, session in pairs
        ]
    )


@dataclass(frozen=True)
class Ending:
    """How a call ended, with its ``google.rpc`` details."""

    code: grpc.StatusCode
    message: str
    info: error_details_pb2.ErrorInfo | None
    violations: list[str]
    retry_after_s: float | None


async def ending(call: Any) -> Ending:
    """Awaits a call that must fail."""
    try:
        answer = await call
    except aio.AioRpcError as error:
        return _ending(error)
    raise AssertionError(f"answered: {answer}")


def _ending(error: aio.AioRpcError) -> Ending:
    info, violations, retry = None, [], None
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        status = status_pb2.Status.FromString(value)
        assert (status.code, status.message) == (error.code().value[0], error.details())
        for detail in status.details:
            if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                info = error_details_pb2.ErrorInfo()
                detail.Unpack(info)
            elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                bad = error_details_pb2.BadRequest()
                detail.Unpack(bad)
                violations = [one.field for one in bad.field_violations]
            elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                again = error_details_pb2.RetryInfo()
                detail.Unpack(again)
                retry = again.retry_delay.ToMilliseconds() / 1000
    return Ending(error.code(), error.details() or "", info, violations, retry)


@asynccontextmanager
async def open_rpc_door(
    folder: Path,
    *,
    server: Server = "h2corn",
    plaintext: bool = False,
    drain_grace_s: float = 5.0,
    message_timeout_s: float = 10.0,
    handshake_timeout_s: float = 10.0,
) -> AsyncIterator[OpenRpcDoor]:
    authority = Authority(folder)
    certificate, key = authority.issue("server")
    engine = RuleEngine()
    engine.buy(USER, GAME)
    registry = new_registry()
    door = RpcDoor(
        RpcSettings(
            tls=None if plaintext else CertificateFiles(certificate=certificate, key=key, ca=authority.file),
            roles={Role.READER: frozenset({READER}), Role.GAME_SERVER: frozenset({GAME_SERVER})},
            server=server,
            host="127.0.0.1",
            port=0,
            command_timeout_s=2.0,
            drain_grace_s=drain_grace_s,
            message_timeout_s=message_timeout_s,
            handshake_timeout_s=handshake_timeout_s,
        ),
        actors=engine,
        authenticator=new_authenticator(AuthSettings(hs256_secret=SECRET), registry=registry),
        registry=registry,
    )
    await door.start()
    opened = OpenRpcDoor(door, engine, authority, folder, registry)
    try:
        yield opened
    finally:
        await opened.close()
        await door.drain()
