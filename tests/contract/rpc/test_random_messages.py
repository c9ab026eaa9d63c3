"""Whatever is sent, the door answers with a reason and lives (R-SEC-4, R-RPC-3)."""

import asyncio
from contextlib import suppress

import grpc
import pytest
from grpc import aio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.rpc.methods import Kind, Method
from tests.support.door import until
from tests.support.random_messages import bodies
from tests.support.rpc_door import GAME_SERVER, READER, OpenRpcDoor, access

OURS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED}
"""What says that the fault is ours, or that the call did not reach its handler."""


async def sent(door: OpenRpcDoor, method: Method, messages: list[bytes]) -> grpc.StatusCode:
    """How the call ended. A server's stream (``Health.Watch``) goes on for ever, so it is left after its first word."""
    channel = door.channel(GAME_SERVER if method.kind is Kind.CLIENT_STREAM else READER)
    try:
        if method.kind is Kind.UNARY:
            await channel.unary_unary(method.path)(messages[0], timeout=5)
            return grpc.StatusCode.OK
        call = channel.stream_stream(method.path)(timeout=5)
        with suppress(aio.AioRpcError, asyncio.InvalidStateError, aio.UsageError, aio.InternalError):
            for message in messages:  # the door may have ended the call before the last one
                await call.write(message)
            await call.done_writing()
        if method.kind is Kind.SERVER_STREAM:
            await call.read()
            call.cancel()
        else:
            async for _ in call:
                pass
    except aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_no_message_makes_the_door_fail(door: OpenRpcDoor, data: st.DataObject) -> None:
    """Every method, also those that others wrote (health, reflection); afterwards the door answers as before."""
    table = door.door.methods
    method = table[data.draw(st.sampled_from(sorted(table)))]
    one_message = method.kind in (Kind.UNARY, Kind.SERVER_STREAM)
    count = 1 if one_message else data.draw(st.integers(0, 3))
    messages = [data.draw(bodies(method.request)) for _ in range(count)]

    code = await sent(door, method, messages)

    if method.kind is Kind.UNARY:  # where a stream ends while it is written to, grpcio's client makes up a code
        assert code not in OURS, code
    assert not door.calls_that_ended(method.path, "INTERNAL")
    assert (await door.queries().CheckGameAccess(access(), timeout=5)).has_access
    await until(lambda: door.door.in_flight == 0)


@pytest.mark.parametrize("name", ["authorization", "traceparent", "x-user-id"])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=200).map(str.strip))
async def test_no_header_makes_the_door_fail(door: OpenRpcDoor, name: str, value: str) -> None:
    """Spaces around a value are no HTTP/2."""
    call = door.channel().unary_unary("/library.v1.LibraryQueryService/CheckGameAccess")
    try:
        await call(access().SerializeToString(), metadata=((name, value),), timeout=5)
        code = grpc.StatusCode.OK
    except aio.AioRpcError as error:
        code = error.code()
    assert code not in OURS
