"""Bad input against the running service: the error format each time, never a 500, the service unharmed.

The door's own suites (tests/unit/serve_app) have every case; here are the kinds of them, through everything.
"""

import json
import socket
import time
from collections.abc import Iterator
from uuid import uuid4

import grpc
import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from library.v1 import library_query_service_pb2 as queries
from library.v1 import library_session_service_pb2 as sessions

from tests.fuzz.run import fuzz
from tests.fuzz.target import target_of
from tests.support.random_messages import bodies
from tests.support.running_service import HttpAnswer, RunningService

BASE = "/api/v1/library"
START = f"{BASE}/playtime/sessions/start"
SLOW_CLIENT_TIMEOUT_S = 40.0


def assert_is_error(answer: HttpAnswer, status: int, code: str) -> None:
    assert answer.status == status, answer.body
    (error,) = answer.json()["errors"]
    assert error["status"] == str(status)
    assert error["code"] == code
    assert error["title"]
    assert error["detail"]


def raw(service: RunningService, request: bytes, timeout_s: float = 10.0) -> HttpAnswer:
    """Sends bytes as they are and reads until the end of the answer."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=timeout_s) as connection:
        connection.sendall(request)
        received = b""
        while True:
            try:
                chunk = connection.recv(65_536)
            except ConnectionResetError:
                break
            if not chunk:
                break
            received += chunk
            head, _, body = received.partition(b"\r\n\r\n")
            if b"content-length:" in head.lower():
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                if len(body) >= length:
                    break
    head, _, body = received.partition(b"\r\n\r\n")
    return HttpAnswer(status=int(head.split()[1]) if head else 0, headers={}, body=body)


def post(service: RunningService, body: bytes, content_type: str = "application/json") -> HttpAnswer:
    token = service.token(uuid4())
    head = (
        f"POST {START} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return raw(service, head.encode() + body)


def document(**attributes: object) -> bytes:
    return json.dumps({"data": {"type": "playtimeSessionStart", "attributes": attributes}}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"data": NaN}',
        b"[" * 20_000,
        json.dumps({"data": {"type": "somethingElse", "attributes": {"product_id": str(uuid4())}}}).encode(),
        document(),
        document(product_id=7),
        document(product_id="not a uuid"),
        document(product_id="\x00" * 36),
        document(product_id=str(uuid4()), surprise=1),
        document(product_id=str(uuid4()), device_id="a\x00b"),
        document(product_id=str(uuid4()), device_id="x" * 10_000),
        document(product_id=str(uuid4()), device_id={"a": 1}),
        document(product_id=str(uuid4()), platform="toaster"),
        b'{"data":{"type":"playtimeSessionStart","attributes":{"product_id":"\\ud800"}}}',
    ],
)
def test_a_bad_body_is_a_validation_error(service: RunningService, body: bytes) -> None:
    """R-ERR-1, R-SEC-4"""
    assert_is_error(post(service, body), 400, "VALIDATION_ERROR")


def test_huge_bodies_and_headers_are_refused(service: RunningService) -> None:
    """R-SEC-4"""
    assert post(service, b" " * 1_000_000).status == 413
    assert raw(service, b"GET / HTTP/1.1\r\nHost: x\r\nX-Big: " + b"a" * 100_000 + b"\r\n\r\n").status == 431
    assert raw(service, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n").status == 414
    assert raw(service, b"\x16\x03\x01 this is not HTTP\r\n\r\n").status == 400


def test_bad_tokens_are_refused(service: RunningService) -> None:
    """R-SEC-1"""
    now = int(time.time())
    wrong = "another secret of at least thirty-two bytes"
    tokens = [
        None,
        "nonsense",
        "a.b.c",
        jwt.encode({"sub": str(uuid4()), "exp": now + 60}, wrong, algorithm="HS256"),
        jwt.encode({"sub": str(uuid4()), "exp": now + 60}, None, algorithm="none"),  # type: ignore[arg-type]
    ]
    for token in tokens:
        assert_is_error(service.get(f"{BASE}/items", token), 401, "UNAUTHENTICATED")


def test_unknown_and_foreign_ids_and_routes_are_not_found(service: RunningService) -> None:
    """R-SEC-2, R-ERR-1"""
    token = service.token(uuid4())
    assert_is_error(service.get(f"{BASE}/items/{uuid4()}", token), 404, "LIBRARY_ITEM_NOT_FOUND")
    assert_is_error(
        service.request("POST", f"{BASE}/playtime/sessions/{uuid4()}/heartbeat", token), 404, "SESSION_NOT_FOUND"
    )
    assert service.get(f"{BASE}/nowhere", token).status == 404
    assert_is_error(service.request("DELETE", f"{BASE}/items", token), 405, "METHOD_NOT_ALLOWED")
    assert_is_error(service.get(f"{BASE}/items?surprise=1", token), 400, "VALIDATION_ERROR")
    assert_is_error(service.get(f"{BASE}/items?limit=101", token), 400, "VALIDATION_ERROR")


def test_slow_and_silent_clients_are_sent_away_and_others_are_served(service: RunningService) -> None:
    """R-SEC-4"""
    slow = [socket.create_connection(("127.0.0.1", service.port), timeout=SLOW_CLIENT_TIMEOUT_S) for _ in range(50)]
    try:
        for number, connection in enumerate(slow):
            connection.sendall(b"" if number % 2 else b"POST /api/v1/library/items HTTP/1.1\r\nHost:")
        assert service.get("/healthz").status == 200
        for connection in slow:
            while connection.recv(65_536):
                pass
    finally:
        for connection in slow:
            connection.close()


def test_requests_made_from_the_contract_are_answered_by_it(service: RunningService) -> None:
    """R-ERR-1, R-ERR-2: schemathesis, every check, all its phases; `make fuzz` is the same for longer."""
    outcome = fuzz(target_of(service), seconds=45, seed=20_240_315, examples=15)
    assert outcome.passed, outcome.output
    assert outcome.server_errors == ()


def test_the_service_is_unharmed(service: RunningService) -> None:
    """Runs after the others of this file: no answer was a 500, and it still serves."""
    assert service.get("/readyz").status == 200
    figures = service.get("/metrics").body.decode().splitlines()
    answers = [line for line in figures if line.startswith("library_http_requests_total{")]
    assert any('status="400"' in line for line in answers)
    assert not any('status="500"' in line for line in answers)


@pytest.fixture(scope="module")
def channel(service: RunningService) -> Iterator[grpc.Channel]:
    """Over mTLS, with every role."""
    files = service.stack.certificates
    credentials = grpc.ssl_channel_credentials(
        files.authority.read_bytes(), files.client_key.read_bytes(), files.client_certificate.read_bytes()
    )
    with grpc.secure_channel(f"localhost:{service.grpc_port}", credentials) as made:
        yield made


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_grpc_message_makes_the_service_fail(channel: grpc.Channel, data: st.DataObject) -> None:
    """R-SEC-4, R-RPC-3: through the door, the router and the actors; always one of the caller's own errors, or an
    answer."""
    kinds = {
        "LibraryQueryService/CheckGameAccess": queries.CheckGameAccessRequest,
        "LibraryQueryService/GetLibraryItems": queries.GetLibraryItemsRequest,
        "LibraryQueryService/CheckGameAccessBatch": queries.CheckGameAccessBatchRequest,
        "LibrarySessionService/StreamHeartbeats": sessions.StreamHeartbeatsRequest,
    }
    method = data.draw(st.sampled_from(sorted(kinds)))
    call = channel.stream_unary(f"/library.v1.{method}")
    try:
        call(iter([data.draw(bodies(kinds[method]))]), timeout=20)
    except grpc.RpcError as refused:
        code = refused.code()  # type: ignore[attr-defined]
        assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED), code
