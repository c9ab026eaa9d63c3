"""What one connection may cost: sizes, times, numbers (R-SEC-4). Time-outs are small here, so tests wait for an end,
never for a while."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from serve_app.settings import AuthSettings, WireLimits
from tests.support.door import (
    SECRET,
    SESSIONS,
    OpenDoor,
    bearer,
    code_of,
    open_door,
    parse_raw,
    start_body,
    token,
    until,
)

SMALL = WireLimits(
    request_line_bytes=200,
    header_bytes=1_000,
    header_count=20,
    body_bytes=2_000,
    connections=5,
    header_timeout_s=0.3,
    body_timeout_s=0.3,
    response_timeout_s=5.5,
    idle_timeout_s=0.3,
    linger_s=0.3,
)


@pytest.fixture
async def small(run_dir: Path) -> AsyncIterator[OpenDoor]:
    async with open_door(run_dir, limits=SMALL) as opened:
        yield opened


def request(method: str = "GET", path: str = "/healthz", *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: x", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def start_request(body: bytes, *headers: str) -> bytes:
    return request(
        "POST", f"{SESSIONS}/start", f"authorization: Bearer {token()}", "content-type: application/json", *headers,
        body=body,
    )  # fmt: skip


TOO_MUCH = [
    ("a long request line", request("GET", "/" + "a" * 300), 414, "URI_TOO_LONG"),
    ("an endless request line", b"GET /" + b"a" * 100_000, 414, "URI_TOO_LONG"),
    ("a long header", request("GET", "/healthz", "x: " + "a" * 2_000), 431, "REQUEST_HEADER_FIELDS_TOO_LARGE"),
    ("an endless header", b"GET /healthz HTTP/1.1\r\nx: " + b"a" * 100_000, 431, "REQUEST_HEADER_FIELDS_TOO_LARGE"),
    ("an endless name", b"GET /healthz HTTP/1.1\r\n" + b"a" * 100_000, 431, "REQUEST_HEADER_FIELDS_TOO_LARGE"),
    (
        "many headers",
        request("GET", "/healthz", *(f"x{i}: 1" for i in range(25))),
        431,
        "REQUEST_HEADER_FIELDS_TOO_LARGE",
    ),
    (
        "many headers in many bytes",
        request("GET", "/healthz", *(f"x{i}: {'a' * 60}" for i in range(18))),
        431,
        "REQUEST_HEADER_FIELDS_TOO_LARGE",
    ),
    ("a declared large body", start_request(b"", "content-length: 2001"), 413, "PAYLOAD_TOO_LARGE"),
    ("a large body", start_request(b"x" * 100_000, "content-length: 100000"), 413, "PAYLOAD_TOO_LARGE"),
    (
        "a large chunked body",
        start_request(b"800\r\n" + b"x" * 2_048 + b"\r\n", "transfer-encoding: chunked"),
        413,
        "PAYLOAD_TOO_LARGE",
    ),
    (
        "endless chunk extensions",
        start_request(b"1;" + b"x" * 400_000, "transfer-encoding: chunked"),
        413,
        "PAYLOAD_TOO_LARGE",
    ),
    (
        "an endless trailer",
        start_request(b"1\r\nx\r\n0\r\n" + b"x" * 400_000, "transfer-encoding: chunked"),
        413,
        "PAYLOAD_TOO_LARGE",
    ),
]


@pytest.mark.parametrize(("sent", "status", "code"), [c[1:] for c in TOO_MUCH], ids=[c[0] for c in TOO_MUCH])
async def test_what_is_too_much_is_refused_before_it_is_read(
    small: OpenDoor, sent: bytes, status: int, code: str
) -> None:
    """R-SEC-4, acceptance 6."""
    (answer,) = parse_raw(await small.raw(sent))
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert answer.headers["connection"] == "close"
    assert small.engine.calls == []
    assert f'code="{code}"' in (await small.client.get("/metrics")).text


async def test_what_is_just_enough_is_taken(small: OpenDoor) -> None:
    """The bounds are not below what they say."""
    head = request("GET", "/healthz" + "?" + "q" * 180, "x: " + "a" * 900, "connection: close")
    (answer,) = parse_raw(await small.raw(head))
    assert answer.status_code == 200
    body = json.dumps(start_body()).encode().ljust(2_000)
    (answer,) = parse_raw(await small.raw(start_request(body, "content-length: 2000", "connection: close")))
    assert answer.status_code == 201


async def test_a_long_head_behind_a_short_request_is_found_too(small: OpenDoor) -> None:
    """Pipelined in one piece."""
    answers = parse_raw(await small.raw(request() + request("GET", "/healthz", "x: " + "a" * 2_000)))
    assert [answer.status_code for answer in answers] == [200, 431]


async def test_an_early_refusal_waits_for_the_answers_before_it(small: OpenDoor) -> None:
    """Order of answers is the order of requests, whatever each of them is."""
    small.engine.hold = asyncio.Event()
    body = json.dumps(start_body()).encode()
    sent = start_request(body, f"content-length: {len(body)}") + start_request(b"", "content-length: 2001")
    received = asyncio.create_task(small.raw(sent))
    await until(lambda: small.engine.calls)
    small.engine.hold.set()
    answers = parse_raw(await received)
    assert [answer.status_code for answer in answers] == [201, 413]
    assert code_of(answers[1]) == "PAYLOAD_TOO_LARGE"


async def test_pipelined_requests_are_answered_in_order(small: OpenDoor) -> None:
    body = json.dumps(start_body()).encode()
    sent = start_request(body, f"content-length: {len(body)}") + request() + request("GET", "/nope")
    sent += request("GET", "/readyz", "connection: close")
    answers = parse_raw(await small.raw(sent))
    assert [answer.status_code for answer in answers] == [201, 200, 404, 200]
    assert answers[3].json() == {"status": "ready"}


async def test_a_flood_of_pipelined_requests_is_cut(small: OpenDoor) -> None:
    """R-SEC-4: what one chunk of input may queue is bounded."""
    answers = parse_raw(await small.raw(request() * 2_000))
    assert answers[-1].status_code == 503
    assert len(answers) < 100


async def test_a_client_that_says_nothing_is_hung_up_on(small: OpenDoor) -> None:
    """R-SEC-4: half-open clients."""
    assert await small.raw(b"") == b""


@pytest.mark.parametrize(
    "sent",
    [b"GET /heal", b"GET /healthz HTTP/1.1\r\nx: ", b"GET /healthz HTTP/1.1\r\nx: y\r\n", b"\r\n"],
    ids=["in the line", "in a header", "between headers", "before the line"],
)
async def test_headers_that_do_not_come_to_an_end_time_out(small: OpenDoor, sent: bytes) -> None:
    """R-SEC-4: slow clients."""
    (answer,) = parse_raw(await small.raw(sent))
    assert (answer.status_code, code_of(answer)) == (408, "REQUEST_TIMEOUT")


@pytest.mark.parametrize("how", ["content-length: 100", "transfer-encoding: chunked"])
async def test_a_body_that_does_not_come_to_an_end_times_out(small: OpenDoor, how: str) -> None:
    """R-SEC-4: slow clients."""
    (answer,) = parse_raw(await small.raw(start_request(b"1\r\n{\r\n", how)))
    assert (answer.status_code, code_of(answer)) == (408, "REQUEST_TIMEOUT")
    assert small.engine.calls == []


async def test_dripping_does_not_buy_time(small: OpenDoor) -> None:
    """R-SEC-4: a byte now and then (slowloris) does not move the deadline of the headers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", small.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nx: ")
    answer = asyncio.ensure_future(reader.read(-1))
    while not answer.done():
        writer.write(b"a")
        await asyncio.wait([answer], timeout=0.05)
    assert parse_raw(await answer)[0].status_code == 408
    writer.close()


async def test_an_idle_connection_is_closed(small: OpenDoor) -> None:
    """R-SEC-4."""
    (answer,) = parse_raw(await small.raw(request()))
    assert answer.status_code == 200


async def test_a_body_that_nobody_waits_for_may_not_dribble_on(small: OpenDoor) -> None:
    """An early answer (no such path) does not end the watch over the rest of the request."""
    answers = parse_raw(await small.raw(request("POST", "/nope", "content-length: 100")))
    assert answers[0].status_code == 404


async def test_one_connection_too_many_is_turned_away(small: OpenDoor) -> None:
    """R-SEC-4: the number of connections is bounded."""
    held = [await asyncio.open_connection("127.0.0.1", small.port) for _ in range(5)]
    for _, writer in held:
        writer.write(b"GET /heal")
    await until(lambda: small.door.load()["connections"] == 5)
    (answer,) = parse_raw(await small.raw(b""))
    assert (answer.status_code, code_of(answer)) == (503, "SERVICE_UNAVAILABLE")
    for _, writer in held:
        writer.close()
    await until(lambda: small.door.load()["connections"] == 0)
    assert (await small.client.get("/healthz")).status_code == 200


async def test_a_client_that_does_not_read_is_cut_off(run_dir: Path) -> None:
    """R-SEC-4: half-open clients hold neither a request nor its answer for ever."""
    limits = WireLimits(response_timeout_s=0.5)
    async with open_door(run_dir, limits=limits, command_timeout_s=0.4) as door:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.setblocking(False)
        await asyncio.get_running_loop().sock_connect(deaf, ("127.0.0.1", door.port))
        await asyncio.get_running_loop().sock_sendall(deaf, request("GET", "/api/v1/library/openapi.json") * 60)
        await until(lambda: door.door.load()["in_flight"])
        await until(lambda: not door.door.load()["in_flight"])
        assert door.door.load()["connections"] == 0
        deaf.close()


async def test_a_keep_alive_connection_serves_many_requests(door: OpenDoor) -> None:
    session = await door.start_session()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    for _ in range(3):
        door.engine.pass_time(60)
        writer.write(request("POST", f"{SESSIONS}/{session}/heartbeat", f"authorization: Bearer {token()}"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 204 ")
        assert b"connection" not in head.lower()
    writer.close()


async def test_http_1_0_is_answered_and_closed(door: OpenDoor) -> None:
    (answer,) = parse_raw(await door.raw(b"GET /healthz HTTP/1.0\r\n\r\n"))
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


async def test_who_expects_to_be_told_to_go_on_is(door: OpenDoor) -> None:
    body = json.dumps(start_body()).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(start_request(b"", f"content-length: {len(body)}", "expect: 100-continue"))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 201 ")
    writer.close()


async def test_a_client_that_leaves_in_the_middle_harms_nobody(
    door: OpenDoor, caplog: pytest.LogCaptureFixture
) -> None:
    """Disconnects while sending a body and while waiting for an answer."""
    body = json.dumps(start_body()).encode()
    for sent in (
        start_request(body[:20], f"content-length: {len(body)}"),
        start_request(body, f"content-length: {len(body)}"),
    ):
        door.engine.hold = asyncio.Event()
        _, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(sent)
        await until(lambda: door.door.load()["in_flight"])
        writer.transport.abort()
        door.engine.hold.set()
        await until(lambda: not door.door.load()["in_flight"])
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert (await door.client.post(f"{SESSIONS}/start", json=start_body(), headers=bearer())).is_success


def test_limits_must_be_positive() -> None:
    with pytest.raises(ValueError, match="body_bytes"):
        WireLimits(body_bytes=0)


def test_a_door_that_believes_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="no way to authenticate"):
        AuthSettings()
    with pytest.raises(ValueError, match="32 bytes"):
        AuthSettings(hs256_secret=SECRET[:31])
