"""Who may call what (R-SEC-3, R-RPC-4)."""

import grpc
import pytest
from grpc import aio
from library.v1 import library_query_service_pb2 as pb

from actors.domain.ids import format_id
from tests.support.certificates import Authority
from tests.support.door import token
from tests.support.rpc_door import (
    GAME,
    GAME_SERVER,
    GATEWAY,
    OTHER_USER,
    READER,
    USER,
    Credential,
    OpenRpcDoor,
    access,
    beats,
    ending,
)

Metadata = tuple[tuple[str, str], ...]


def bearer(text: str) -> Metadata:
    return (("authorization", f"Bearer {text}"),)


def items(user: bytes) -> pb.GetLibraryItemsRequest:
    return pb.GetLibraryItemsRequest(user_id=format_id(user))


async def test_a_stranger_does_not_get_past_the_handshake(door: OpenRpcDoor) -> None:
    """R-SEC-3: no certificate, or one that a stranger signed."""
    (door.folder / "strange").mkdir()
    stranger = Credential(*Authority(door.folder / "strange").issue(READER), door.authority.file)
    nobody = grpc.ssl_channel_credentials(door.authority.file.read_bytes())
    for credentials in (nobody, stranger.channel_credentials()):
        async with aio.secure_channel(f"localhost:{door.port}", credentials) as channel:
            call = channel.unary_unary("/library.v1.LibraryQueryService/CheckGameAccess")
            refused = await ending(call(access().SerializeToString(), timeout=5))
            assert refused.code is grpc.StatusCode.UNAVAILABLE
    async with aio.insecure_channel(f"localhost:{door.port}") as channel:
        call = channel.unary_unary("/library.v1.LibraryQueryService/CheckGameAccess")
        assert (await ending(call(access().SerializeToString(), timeout=5))).code is grpc.StatusCode.UNAVAILABLE
    assert not door.engine.calls


async def test_without_a_token_the_certificates_role_decides(door: OpenRpcDoor) -> None:
    """R-RPC-4."""
    assert (await door.queries(READER).CheckGameAccess(access())).has_access
    for caller in (GAME_SERVER, GATEWAY, f"{READER}.evil"):
        refused = await ending(door.queries(caller).CheckGameAccess(access()))
        assert refused.code is grpc.StatusCode.PERMISSION_DENIED
        assert refused.info is not None
        assert refused.info.reason == "PERMISSION_DENIED"
    not_a_server = await ending(door.sessions(READER).StreamHeartbeats(iter([beats()])))
    assert not_a_server.code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("caller", [GATEWAY, READER])
async def test_with_a_token_its_subject_alone_can_be_asked_about(door: OpenRpcDoor, caller: str) -> None:
    """R-RPC-4: whatever role the certificate has, and in a batch for every pair."""
    queries = door.queries(caller)
    mine, theirs = bearer(token(USER)), bearer(token(OTHER_USER))
    both = pb.CheckGameAccessBatchRequest(checks=[access(USER), access(OTHER_USER)])

    assert (await queries.CheckGameAccess(access(USER), metadata=mine)).has_access
    assert len((await queries.GetLibraryItems(items(USER), metadata=mine)).items) == 1
    asked = len(door.engine.calls)
    for refused in (
        await ending(queries.CheckGameAccess(access(USER), metadata=theirs)),
        await ending(queries.GetLibraryItems(items(USER), metadata=theirs)),
        await ending(queries.CheckGameAccessBatch(both, metadata=mine)),
    ):
        assert refused.code is grpc.StatusCode.PERMISSION_DENIED
    assert len(door.engine.calls) == asked


async def test_a_game_client_may_stream_its_own_beats_alone(door: OpenRpcDoor) -> None:
    """R-RPC-4."""
    sessions = door.sessions(GATEWAY)

    own = await sessions.StreamHeartbeats(iter([beats((USER, bytes(16)))]), metadata=bearer(token(USER)))
    others = await ending(
        sessions.StreamHeartbeats(iter([beats((OTHER_USER, bytes(16)))]), metadata=bearer(token(USER)))
    )

    assert own.failures[0].code == "SESSION_NOT_FOUND"
    assert others.code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    "metadata",
    [
        bearer("nonsense"),
        bearer(token(USER, exp=1)),
        bearer(token(USER)[:-2]),
        (("authorization", "Basic eA=="),),
        bearer(token(USER)) + bearer(token(USER)),
        (("authorization", ""),),
    ],
    ids=["nonsense", "expired", "signature", "scheme", "twice", "empty"],
)
async def test_a_token_that_is_not_good_is_worse_than_none(door: OpenRpcDoor, metadata: Metadata) -> None:
    """R-SEC-1: a reader's role does not make up for it."""
    refused = await ending(door.queries(READER).CheckGameAccess(access(), metadata=metadata))

    assert refused.code is grpc.StatusCode.UNAUTHENTICATED
    assert not door.engine.calls


async def test_the_gateways_header_is_nobodys_word_here(door: OpenRpcDoor) -> None:
    """R-RPC-4: the certificate says who calls; `X-User-Id` is for HTTP."""
    metadata = (("x-user-id", format_id(USER)),)

    refused = await ending(door.queries(GATEWAY).CheckGameAccess(access(product=GAME), metadata=metadata))

    assert refused.code is grpc.StatusCode.PERMISSION_DENIED
