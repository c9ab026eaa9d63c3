# ruff: noqa: E501
"""Everything a door refuses, one row each: status, code, the one error body in the asked language, nothing reached an
actor, and the door is as it was (R-SEC-1, R-SEC-2, R-SEC-4, R-ERR-1, R-ERR-2). Variants of the
rows are in the files beside this one."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest

from actors.domain.ids import format_id
from actors.domain.replies import Failed, Overloaded, Unavailable
from serve_app.errors import CODES
from serve_app.settings import RateSettings, WireLimits
from tests.support.door import (
    BASE,
    OTHER_USER,
    SECRET,
    SESSIONS,
    USER,
    OpenDoor,
    bearer,
    code_of,
    open_door,
    parse_raw,
    start_body,
    token,
)  # fmt: skip

NOBODYS = "00000000-0000-4000-8000-000000000000"
LIMITS = WireLimits(
    request_line_bytes=300, header_bytes=2_000, header_count=20, body_bytes=2_000,
    header_timeout_s=0.3, body_timeout_s=0.3, response_timeout_s=5.5, idle_timeout_s=0.3, linger_s=0.3,
)  # fmt: skip
RATES = RateSettings(writes_per_s=0.01, writes_burst=1)


@pytest.fixture
async def door(run_dir: Path) -> AsyncIterator[OpenDoor]:
    async with open_door(run_dir, limits=LIMITS, rates=RATES) as opened:
        yield opened


def signed(**claims: object) -> str:
    return token(**claims)


def unsigned() -> str:
    return jwt.encode({"sub": format_id(USER), "exp": int(time.time()) + 60}, None, "none")  # type: ignore[arg-type]


def foreign() -> str:
    return jwt.encode({"sub": format_id(USER), "exp": int(time.time()) + 60}, SECRET[::-1] + b"x", "HS256")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request on the wire. ``auth`` is a token, made when it is needed; ``more`` are header lines."""

    name: str
    status: int
    code: str
    line: str = f"GET {BASE}/items"
    auth: object = token
    more: tuple[str, ...] = ()
    body: bytes = b""
    length: bool = True
    reaches_actor: bool = False

    def sent(self) -> bytes:
        lines = [f"{self.line} HTTP/1.1", "host: x", "accept-language: en-GB, ru;q=0.5"]
        if callable(self.auth):
            lines.append(f"authorization: Bearer {self.auth()}")
        lines += self.more
        if self.body and self.length:
            lines.append(f"content-length: {len(self.body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


def start(name: str, status: int, code: str, body: object, **more: object) -> Case:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"more": ("content-type: application/json",), **more}
    return Case(name=name, status=status, code=code, line=f"POST {SESSIONS}/start", body=encoded, **fields)  # type: ignore[arg-type]


def invalid(name: str, body: object) -> Case:
    return start(name, 400, "VALIDATION_ERROR", body)


def refused(name: str, auth: object = None, *more: str) -> Case:
    return Case(name=name, status=401, code="UNAUTHENTICATED", auth=auth, more=more)


CASES = [
    # who is asking
    refused("no token"),
    refused("no bearer", None, "authorization: Basic dTpw"),
    refused("two tokens", token, "authorization: Bearer x"),
    refused("noise", lambda: "x.y.z"),
    refused("alg none", unsigned),
    refused("signed by somebody else", foreign),
    refused("expired", lambda: signed(exp=int(time.time()) - 60)),
    refused("not valid yet", lambda: signed(nbf=int(time.time()) + 600)),
    refused("no subject", lambda: signed(sub=None)),
    refused("no expiry", lambda: signed(exp=None)),
    refused("a gateway's word where none is trusted", None, f"x-user-id: {format_id(USER)}"),
    # what is asked for
    Case(name="no such path", status=404, code="NOT_FOUND", line="GET /nowhere"),
    Case(name="no such path in the API", status=404, code="NOT_FOUND", line=f"GET {BASE}/nowhere"),
    Case(name="no such method", status=405, code="METHOD_NOT_ALLOWED", line=f"TRACE {BASE}/items"),
    Case(name="no such item", status=404, code="LIBRARY_ITEM_NOT_FOUND", line=f"GET {BASE}/items/{NOBODYS}", reaches_actor=True),
    Case(name="no item's id", status=404, code="LIBRARY_ITEM_NOT_FOUND", line=f"GET {BASE}/items/x"),
    Case(name="no such session", status=404, code="SESSION_NOT_FOUND", line=f"POST {SESSIONS}/{NOBODYS}/heartbeat", reaches_actor=True),
    Case(name="no session's id", status=404, code="SESSION_NOT_FOUND", line=f"POST {SESSIONS}/x/end"),
    Case(name="an unknown parameter", status=400, code="VALIDATION_ERROR", line=f"GET {BASE}/items?surprise=1"),
    Case(name="a repeated parameter", status=400, code="VALIDATION_ERROR", line=f"GET {BASE}/items?page=1&page=2"),
    Case(name="an unknown value", status=400, code="VALIDATION_ERROR", line=f"GET {BASE}/items?sort_by=random"),
    Case(name="a number out of bounds", status=400, code="VALIDATION_ERROR", line=f"GET {BASE}/items?limit=101"),
    Case(name="another format", status=406, code="NOT_ACCEPTABLE", more=("accept: text/html",)),
    # what is sent
    invalid("no JSON", b"{"),
    invalid("no UTF-8", b'{"data":"\xff"}'),
    invalid("too deep", b"[" * 1_999),
    invalid("no object", []),
    invalid("a member is missing", {"data": {"type": "playtimeSessionStart", "attributes": {}}}),
    invalid("a member too many", {**start_body(), "more": 1}),
    invalid("no UUID", {"data": {"type": "playtimeSessionStart", "attributes": {"product_id": "1"}}}),
    invalid("a long string", start_body(device_id="x" * 129)),
    invalid("a control character", start_body(device_id="a\x00")),
    invalid("a lone surrogate", b'{"data":{"type":"playtimeSessionStart","attributes":{"product_id":"\\ud800"}}}'),
    start("no content type", 415, "UNSUPPORTED_MEDIA_TYPE", start_body(), more=()),
    start("another content type", 415, "UNSUPPORTED_MEDIA_TYPE", start_body(), more=("content-type: text/plain",)),
    start("compressed", 415, "UNSUPPORTED_MEDIA_TYPE", start_body(), more=("content-type: application/json", "content-encoding: gzip")),
    # how much, and how slowly
    Case(name="a long line", status=414, code="URI_TOO_LONG", line="GET /" + "a" * 400, auth=None),
    Case(name="a long header", status=431, code="REQUEST_HEADER_FIELDS_TOO_LARGE", more=("x: " + "a" * 3_000,)),
    Case(name="many headers", status=431, code="REQUEST_HEADER_FIELDS_TOO_LARGE", more=("x: y",) * 30),
    start("a long body", 413, "PAYLOAD_TOO_LARGE", b" " * 3_000),
    Case(name="two lengths", status=400, code="MALFORMED_REQUEST", more=("content-length: 1", "content-length: 2")),
    Case(name="a length and chunks", status=400, code="MALFORMED_REQUEST", more=("content-length: 1", "transfer-encoding: chunked")),
    start("a body that does not come", 408, "REQUEST_TIMEOUT", b"{", more=("content-type: application/json", "content-length: 50"), length=False),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_what_is_refused_is_an_error_of_the_one_shape(door: OpenDoor, case: Case) -> None:
    answer = parse_raw(await door.raw(case.sent()))[0]
    assert (answer.status_code, code_of(answer)) == (case.status, case.code)
    error = answer.json()["errors"][0]
    entry = CODES[case.code]
    assert not entry.later
    said_before_the_language = answer.headers["content-language"] == "ru"
    assert error["title"] == (entry.ru if said_before_the_language else entry.en)
    assert said_before_the_language is (case.name == "a long line")
    if case.status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
    if case.status == 405:
        assert "GET" in answer.headers["allow"].split(", ")
    assert bool(door.engine.calls) is case.reaches_actor
    assert (await door.client.get(f"{BASE}/items", headers=bearer())).status_code == 200


async def test_headers_that_do_not_come_time_out(door: OpenDoor) -> None:
    """R-SEC-4: slowloris, and connections that say nothing."""
    for sent, status in ((b"GET /healthz HTTP/1.1\r\nx: ", 408), (b"", None)):
        answers = parse_raw(await door.raw(sent))
        assert [answer.status_code for answer in answers] == ([status] if status else [])


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        (Overloaded("mailbox", 3), 503, "SERVICE_UNAVAILABLE"),
        (Unavailable("no host", retry_after_s=2), 503, "SERVICE_UNAVAILABLE"),
        (Failed("incident-1"), 500, "INTERNAL_ERROR"),
        (RuntimeError("a bug"), 500, "INTERNAL_ERROR"),
    ],
    ids=["overloaded", "away", "a rule that raises", "a bug of the door"],
)
@pytest.mark.parametrize("path", [f"{BASE}/items", f"{BASE}/items/{NOBODYS}", f"{SESSIONS}/active"])
async def test_trouble_of_ours_has_the_same_shape(
    door: OpenDoor, path: str, trouble: object, status: int, code: str
) -> None:
    """R-ERR-1: crashes too; ``Retry-After`` on 503; nothing of the inside is told."""
    if isinstance(trouble, Exception):
        door.engine.raise_instead = trouble
    else:
        door.engine.answer_instead = trouble  # type: ignore[assignment]
    answer = await door.client.get(path, headers={**bearer(), "accept-language": "en"})
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert answer.json()["errors"][0]["title"] == CODES[code].en
    assert "a bug" not in answer.text


async def test_too_many_requests_are_told_when_to_come_back(door: OpenDoor) -> None:
    """R-SEC-4."""
    assert (await door.client.post(f"{SESSIONS}/start", json=start_body(), headers=bearer())).status_code == 201
    answer = await door.client.post(f"{SESSIONS}/start", json=start_body(), headers=bearer())
    assert (answer.status_code, code_of(answer)) == (429, "RATE_LIMITED")


async def test_what_is_somebody_else_s_cannot_be_told_from_what_is_not_there(run_dir: Path) -> None:
    """R-SEC-2: byte for byte, but for the trace id; on every route that takes an id."""
    async with open_door(run_dir) as door:
        session = await door.start_session(user=USER)
        items = (await door.client.get(f"{BASE}/items", headers=bearer(USER))).json()["data"]
        ids = {"session_id": session, "item_id": items[0]["id"]}
        document = (await door.client.get(f"{BASE}/openapi.json")).json()
        seen = 0
        for template, operations in document["paths"].items():
            name = template.partition("{")[2].partition("}")[0]
            if name not in ids:
                continue
            for method in operations:
                answers = [
                    await door.client.request(
                        method,
                        template.replace(f"{{{name}}}", one),
                        headers=bearer(OTHER_USER),
                        **_body(operations[method]),
                    )
                    for one in (ids[name], NOBODYS)
                ]
                theirs, nobodys = ((a.status_code, a.content, _same(a.headers)) for a in answers)
                assert theirs == nobodys, template
                assert theirs[0] in (404, 400), (method, template)
                seen += theirs[0] == 404
        assert seen >= 3


def _body(operation: dict[str, object]) -> dict[str, object]:
    return {"json": {}} if "requestBody" in operation else {}


def _same(headers: object) -> dict[str, str]:
    return {k: v for k, v in headers.items() if k not in ("library-trace-id", "date")}  # type: ignore[attr-defined]
