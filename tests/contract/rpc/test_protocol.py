"""What gRPC promises its clients, whichever server serves (R-RPC-3)."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2 as reflection
from grpc_reflection.v1alpha import reflection_pb2_grpc
from library.v1 import library_query_service_pb2 as pb

from actors.domain.ids import format_id
from serve_app.rpc.settings import Server
from tests.support.certificates import Authority
from tests.support.rpc_door import (
    GAME,
    OTHER_GAME,
    OTHER_USER,
    READER,
    USER,
    Credential,
    OpenRpcDoor,
    access,
    beats,
    ending,
    open_rpc_door,
)
from tests.support.small_cluster import until

STREAM = "/library.v1.LibrarySessionService/StreamHeartbeats"
CHECK = "/library.v1.LibraryQueryService/CheckGameAccess"
V1 = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"


def raw(door: OpenRpcDoor, path: str = CHECK) -> Any:
    """Sends and gets bytes."""
    return door.channel(READER).unary_unary(path)


async def test_the_callers_deadline_reaches_the_actor_and_ends_the_call(door: OpenRpcDoor) -> None:
    """R-RPC-3: grpc-timeout is honoured, also when it is asked together with others first."""
    door.engine.silent_users.add(USER)
    for timeout_s in (0.3, 1.5):
        late = await ending(door.queries().CheckGameAccess(access(), timeout=timeout_s))
        assert late.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert 0 < door.engine.timeouts[-1] < timeout_s + 0.5, "the wire rounds it up"
    door.engine.silent_users.clear()
    door.engine.at_once = False
    assert (await door.queries().CheckGameAccess(access())).has_access
    assert door.engine.timeouts[-1] == 2.0, "without one the door's own"


async def test_a_client_that_goes_takes_its_call_along(door: OpenRpcDoor) -> None:
    """R-RPC-3: cancellation."""
    door.engine.hold = asyncio.Event()
    call = door.queries().CheckGameAccess(access())
    await until(lambda: door.door.in_flight == 1)

    call.cancel()

    await until(lambda: door.door.in_flight == 0)
    assert not door.engine.hold.is_set()


async def test_a_client_that_leaves_its_stream_open_is_no_incident(door: OpenRpcDoor) -> None:
    """R-RPC-3, R-OBS-1: a game server that dies is counted as one that has gone."""
    live = await door.start_session()
    stream = door.sessions().StreamHeartbeats()
    await stream.write(beats((USER, live)))
    await until(lambda: door.engine.beats == 1)

    stream.cancel()

    await until(lambda: door.door.in_flight == 0)
    assert door.calls_that_ended(STREAM, "CANCELLED") == 1
    assert not door.calls_that_ended(STREAM, "INTERNAL")


async def test_a_call_without_a_message_does_not_wait_for_ever(tmp_path: Path) -> None:
    """R-SEC-4: headers alone. ``grpcio`` cannot be told so."""
    async with open_rpc_door(tmp_path, message_timeout_s=0.1) as door:
        ended = await ending(door.channel().stream_unary(CHECK)(timeout=5))
        assert ended.code is grpc.StatusCode.CANCELLED
        assert (await door.queries().CheckGameAccess(access())).has_access


@pytest.mark.parametrize("server", ["h2corn", "grpcio"])
async def test_a_client_that_does_not_finish_its_handshake_is_hung_up_on(tmp_path: Path, server: Server) -> None:
    """R-SEC-4: a half-open connection costs the door memory and a file."""
    async with open_rpc_door(tmp_path, server=server, handshake_timeout_s=0.2) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        async with asyncio.timeout(4):  # less than either server allows by itself
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("algorithm", [grpc.Compression.Gzip, grpc.Compression.NoCompression])
async def test_messages_may_be_compressed_both_ways(door: OpenRpcDoor, algorithm: grpc.Compression) -> None:
    """R-RPC-3."""
    request = pb.CheckGameAccessBatchRequest(checks=[access()] * 2_000)

    answer = await door.queries().CheckGameAccessBatch(request, compression=algorithm)

    assert len(answer.results) == 2_000


async def test_a_message_is_bounded_also_when_it_grows_while_it_is_unpacked(door: OpenRpcDoor) -> None:
    """R-SEC-4: RESOURCE_EXHAUSTED, and the connection lives."""
    large = pb.CheckGameAccessRequest(user_id="0" * 5_000_000)
    plain = await ending(door.queries().CheckGameAccess(large))
    bomb_like = pb.CheckGameAccessRequest(user_id="0" * 500_000)  # 500 bytes on the wire
    bomb = await ending(door.queries().CheckGameAccess(bomb_like, compression=grpc.Compression.Gzip))
    medium = await ending(door.queries().CheckGameAccess(pb.CheckGameAccessRequest(user_id="0" * 5_000)))

    assert {plain.code, bomb.code, medium.code} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert (await door.queries().CheckGameAccess(access())).has_access
    assert door.engine.pairs == [(USER, GAME)]
    assert not door.engine.calls


async def test_checks_of_one_moment_share_a_question_and_each_has_its_own_answer(door: OpenRpcDoor) -> None:
    """R-RPC-1: a user who is not in memory, or whose host is away, is asked alone."""
    door.engine.silent_users.add(OTHER_USER)
    asked = [access(), access(USER, OTHER_GAME), access(OTHER_USER), access()]
    calls = [door.queries().CheckGameAccess(one, timeout=3.0) for one in asked]
    found = await asyncio.gather(*calls, return_exceptions=True)

    assert [getattr(one, "has_access", None) for one in found] == [True, False, None, True]
    assert {user_id for user_id, *_ in door.engine.calls} == {OTHER_USER}


@pytest.mark.parametrize("path", ["/library.v1.LibraryQueryService/Nothing", "/nobody.v1.Nobody/Nothing", "/x"])
async def test_a_method_that_does_not_exist_is_unimplemented(door: OpenRpcDoor, path: str) -> None:
    """R-RPC-3."""
    assert (await ending(raw(door, path)(b""))).code is grpc.StatusCode.UNIMPLEMENTED


async def test_a_message_of_another_kind_is_the_callers_fault(door: OpenRpcDoor) -> None:
    """R-RPC-3: INVALID_ARGUMENT, never a crash."""
    for body in (b"\xff\xff\xff", b"\x0a\xffshort", b"\x0a\x02\xff\xfe"):
        assert (await ending(raw(door)(body))).code is grpc.StatusCode.INVALID_ARGUMENT


async def test_unicode_survives_in_the_error_text(door: OpenRpcDoor) -> None:
    """R-RPC-3: grpc-message is percent-encoded."""
    stub = health_pb2_grpc.HealthStub(door.channel())

    unknown = await ending(stub.Check(health_pb2.HealthCheckRequest(service="Библиотека 100%")))

    assert unknown.code is grpc.StatusCode.NOT_FOUND
    assert unknown.message == "there is no service Библиотека 100%"


async def test_health_is_told_by_service_and_a_watcher_hears_of_a_drain(door: OpenRpcDoor) -> None:
    """R-RPC-3."""
    stub = health_pb2_grpc.HealthStub(door.channel())
    for service in ("", "library.v1.LibraryQueryService", "library.v1.LibrarySessionService"):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    everything = await stub.List(health_pb2.HealthListRequest())
    assert "grpc.reflection.v1.ServerReflection" in everything.statuses
    door.engine.map_complete = False
    watching = stub.Watch(health_pb2.HealthCheckRequest())

    first = await watching.read()
    door.engine.map_complete = True
    second = await watching.read()
    await door.door.drain()
    last = await ending(watching.read())

    assert first.status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert second.status == health_pb2.HealthCheckResponse.SERVING
    assert last.code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("path", [V1, V1.replace("v1", "v1alpha")])
async def test_reflection_knows_every_service_and_its_file(door: OpenRpcDoor, path: str) -> None:
    """R-RPC-3: under both names that clients try."""
    call = door.channel().stream_stream(
        path,
        request_serializer=reflection.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection.ServerReflectionResponse.FromString,
    )
    asked = [
        reflection.ServerReflectionRequest(list_services=""),
        reflection.ServerReflectionRequest(file_containing_symbol="library.v1.LibraryQueryService"),
    ]

    answers = [answer async for answer in call(iter(asked))]

    services = {service.name for service in answers[0].list_services_response.service}
    assert {"library.v1.LibraryQueryService", "library.v1.LibrarySessionService", "grpc.health.v1.Health"} <= services
    assert b"CheckGameAccess" in answers[1].file_descriptor_response.file_descriptor_proto[0]
    assert reflection_pb2_grpc is not None


async def test_a_renewed_certificate_meets_new_connections_and_old_ones_go_on(door: OpenRpcDoor) -> None:
    """R-SEC-3: without a restart, and without a call that fails."""
    door.engine.hold = asyncio.Event()
    in_work = asyncio.ensure_future(door.queries().CheckGameAccess(access()))
    await until(lambda: door.door.in_flight == 1)
    (door.folder / "next").mkdir()
    successor = Authority(door.folder / "next", "successor")
    certificate, key = successor.issue("server")
    trusted = door.authority.file.read_bytes() + successor.file.read_bytes()
    certificate.rename(door.folder / "server.crt")
    key.rename(door.folder / "server.key")
    door.authority.file.write_bytes(trusted)

    await door.door.refresh_certificates()

    renewed = Credential(*successor.issue(READER), successor.file).channel_credentials()
    async with aio.secure_channel(f"localhost:{door.port}", renewed) as channel:
        new = asyncio.ensure_future(channel.unary_unary(CHECK)(access().SerializeToString(), timeout=5))
        await until(lambda: door.door.in_flight == 2)
        door.engine.hold.set()
        assert pb.CheckGameAccessResponse.FromString(await new).has_access
    assert (await in_work).has_access


async def test_a_certificate_that_cannot_be_used_changes_nothing(door: OpenRpcDoor) -> None:
    """R-SEC-3."""
    (door.folder / "server.key").write_bytes(b"half of a")

    await door.door.refresh_certificates()

    credentials = door.credential().channel_credentials()
    async with aio.secure_channel(f"localhost:{door.port}", credentials, options=[("a", 1)]) as channel:
        answer = await channel.unary_unary(CHECK)(access().SerializeToString(), timeout=5)
    assert pb.CheckGameAccessResponse.FromString(answer).has_access


async def test_a_draining_door_answers_what_it_has_and_takes_nothing_new(door: OpenRpcDoor) -> None:
    """R-NFR-4."""
    door.engine.hold = asyncio.Event()
    in_work = asyncio.ensure_future(door.queries().CheckGameAccess(access()))
    await until(lambda: door.door.in_flight == 1)

    draining = asyncio.ensure_future(door.door.drain())
    await asyncio.sleep(0)
    door.engine.hold.set()

    assert (await in_work).has_access
    await draining
    credentials = door.credential().channel_credentials()
    async with aio.secure_channel(f"localhost:{door.port}", credentials, options=[("a", 1)]) as channel:
        refused = await ending(channel.unary_unary(CHECK)(b"", timeout=5))
    assert refused.code is grpc.StatusCode.UNAVAILABLE


async def test_more_calls_at_once_than_a_method_allows_are_told_to_come_back(door: OpenRpcDoor) -> None:
    """R-SEC-4: bounded, with a named outcome."""
    door.engine.hold = asyncio.Event()
    request = pb.CheckGameAccessBatchRequest(checks=[access()])
    limit = door.door.methods["/library.v1.LibraryQueryService/CheckGameAccessBatch"].in_work
    calls = [asyncio.ensure_future(door.queries().CheckGameAccessBatch(request)) for _ in range(limit)]
    await until(lambda: door.door.in_flight == limit)

    one_more = await ending(door.queries().CheckGameAccessBatch(request))
    door.engine.hold.set()

    assert (one_more.code, one_more.retry_after_s) == (grpc.StatusCode.UNAVAILABLE, 1.0)
    assert all(len(answer.results) == 1 for answer in await asyncio.gather(*calls))


async def test_beats_of_a_stream_are_counted_and_the_others_named(door: OpenRpcDoor) -> None:
    """R-RPC-2, R-PT-7: the same guarantees as a beat that comes alone."""
    live = await door.start_session()
    unknown = bytes(15) + b"\7"
    messages = [beats((USER, live), (USER, unknown)), beats(), beats((USER, live))]
    messages[2].heartbeats.add(user_id=format_id(USER), session_id="no id")

    told = await door.sessions().StreamHeartbeats(iter(messages))

    assert (told.received_count, told.accepted_count, told.failed_count) == (4, 2, 2)
    assert [(one.index, one.code) for one in told.failures] == [(1, "SESSION_NOT_FOUND"), (3, "SESSION_NOT_FOUND")]


async def test_a_stream_without_bounds_is_refused(door: OpenRpcDoor) -> None:
    """R-SEC-4: at most 1,000 beats in a message."""
    too_many = beats(*[(USER, bytes(16))] * 1_001)

    refused = await ending(door.sessions().StreamHeartbeats(iter([too_many])))

    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.violations == ["heartbeats"]


async def test_a_game_server_is_told_to_call_again_when_its_door_closes(door: OpenRpcDoor) -> None:
    """R-NFR-4: streams would outlive every grace."""
    live = await door.start_session()
    stream = door.sessions().StreamHeartbeats()
    await stream.write(beats((USER, live)))
    await until(lambda: door.engine.beats == 1)

    await door.door.drain()

    sent_away = await ending(stream)
    assert (sent_away.code, sent_away.retry_after_s) == (grpc.StatusCode.UNAVAILABLE, 1.0)
