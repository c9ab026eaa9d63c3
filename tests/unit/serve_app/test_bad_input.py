"""Whatever comes in, the error format goes out, nothing changes, and the door lives (R-SEC-4, R-ERR-1)."""

import json
from typing import Any

import pytest

from actors.domain.ids import format_id
from tests.support.door import BASE, GAME, SESSIONS, OpenDoor, bearer, code_of, parse_raw, start_body, token

ATTRIBUTES = "/data/attributes"
PRODUCT = format_id(GAME)


def raw(attributes: bytes) -> bytes:
    return b'{"data":{"type":"playtimeSessionStart","attributes":' + attributes + b"}}"


def with_device(device: bytes) -> bytes:
    return raw(b'{"product_id":"' + PRODUCT.encode() + b'","device_id":' + device + b"}")


BODIES: list[tuple[str, bytes, str]] = [
    ("empty body", b"", ""),
    ("only spaces", b"   ", ""),
    ("not JSON", b"hello", ""),
    ("cut off", b'{"data":', ""),
    ("two documents", raw(b'{"product_id":"' + PRODUCT.encode() + b'"}') + b"{}", ""),
    ("byte order mark", b"\xef\xbb\xbf{}", ""),
    ("UTF-16", json.dumps(start_body()).encode("utf-16"), ""),
    ("single quotes", b"{'data': 1}", ""),
    ("an array", b"[]", ""),
    ("a string", b'"data"', ""),
    ("null", b"null", ""),
    ("a number of 5,000 digits", b"1" * 5_000, ""),
    ("no data", b"{}", "/data"),
    ("data is null", b'{"data":null}', "/data"),
    ("data is a list", b'{"data":[]}', "/data"),
    ("unknown member at the top", b'{"data":{},"meta":{}}', "/data/type"),
    ("only an unknown member", b'{"meta":{}}', "/meta"),
    ("wrong type of resource", b'{"data":{"type":"session","attributes":{}}}', "/data/type"),
    ("no type", raw(b"{}").replace(b'"type":"playtimeSessionStart",', b""), "/data/attributes/product_id"),
    ("a client-made id", b'{"data":{"id":"x"}}', "/data/id"),
    ("no attributes", b'{"data":{"type":"playtimeSessionStart"}}', "/data/attributes"),
    ("no product", raw(b"{}"), f"{ATTRIBUTES}/product_id"),
    ("product is null", raw(b'{"product_id":null}'), f"{ATTRIBUTES}/product_id"),
    ("product is a number", raw(b'{"product_id":1}'), f"{ATTRIBUTES}/product_id"),
    ("product is a huge number", raw(b'{"product_id":1e999}'), f"{ATTRIBUTES}/product_id"),
    ("product is an object", raw(b'{"product_id":{}}'), f"{ATTRIBUTES}/product_id"),
    ("product is no UUID", raw(b'{"product_id":"game-1"}'), f"{ATTRIBUTES}/product_id"),
    ("product is empty", raw(b'{"product_id":""}'), f"{ATTRIBUTES}/product_id"),
    ("product with a newline", raw(b'{"product_id":"' + PRODUCT.encode() + b'\\n"}'), f"{ATTRIBUTES}/product_id"),
    ("product in braces", raw(b'{"product_id":"{' + PRODUCT.encode() + b'}"}'), f"{ATTRIBUTES}/product_id"),
    ("product without dashes", raw(b'{"product_id":"' + GAME.hex().encode() + b'"}'), f"{ATTRIBUTES}/product_id"),
    (
        "product in full-width digits",
        raw(('{"product_id":"' + PRODUCT.replace("5", "５") + '"}').encode()),
        f"{ATTRIBUTES}/product_id",
    ),
    ("NUL in the device", with_device(b'"a\\u0000"'), f"{ATTRIBUTES}/device_id"),
    ("raw NUL in the device", with_device(b'"a\x00"'), ""),
    ("newline in the device", with_device(b'"a\\n"'), f"{ATTRIBUTES}/device_id"),
    ("lone surrogate", with_device(b'"a\\ud800"'), ""),
    ("lone low surrogate", with_device(b'"a\\udc00b"'), ""),
    ("surrogate in UTF-8", with_device(b'"\xed\xa0\x80"'), ""),
    ("not UTF-8", with_device(b'"\xff"'), ""),
    ("overlong UTF-8", with_device(b'"\xc0\x80"'), ""),
    ("device too long", with_device(b'"' + b"a" * 129 + b'"'), f"{ATTRIBUTES}/device_id"),
    ("device empty", with_device(b'""'), f"{ATTRIBUTES}/device_id"),
    ("device a number", with_device(b"7"), f"{ATTRIBUTES}/device_id"),
    ("device NaN", with_device(b"NaN"), ""),
    ("device Infinity", with_device(b"-Infinity"), ""),
    ("device true", with_device(b"true"), f"{ATTRIBUTES}/device_id"),
    ("device a deep list", with_device(b"[" * 20_000 + b"]" * 20_000), f"{ATTRIBUTES}/device_id"),
    (
        "unknown platform",
        raw(b'{"product_id":"' + PRODUCT.encode() + b'","platform":"amiga"}'),
        f"{ATTRIBUTES}/platform",
    ),
    (
        "unknown attribute",
        raw(b'{"product_id":"' + PRODUCT.encode() + b'","start_time":"now"}'),
        f"{ATTRIBUTES}/start_time",
    ),
    ("unknown attribute with a slash", raw(b'{"a/b~c":1}'), f"{ATTRIBUTES}/a~1b~0c"),
    ("unknown attribute that is deep", raw(b'{"x":' + b"[" * 30_000), f"{ATTRIBUTES}/x"),
    ("deep objects", b'{"data":' * 7_000, "/data/data"),
    ("proto", raw(b'{"__proto__":{}}'), f"{ATTRIBUTES}/__proto__"),
]


@pytest.mark.parametrize(("body", "pointer"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES])
async def test_a_body_that_is_not_described_is_refused_with_its_place(
    door: OpenDoor, body: bytes, pointer: str
) -> None:
    """R-SEC-4, R-ERR-1, acceptance 6."""
    headers = {**bearer(), "content-type": "application/json"}
    answer = await door.client.post(f"{SESSIONS}/start", content=body, headers=headers)
    assert (answer.status_code, code_of(answer)) == (400, "VALIDATION_ERROR"), answer.text
    assert answer.json()["errors"][0]["source"] == {"pointer": pointer}
    assert len(answer.content) < 2_000
    assert door.engine.calls == []


@pytest.mark.parametrize(
    ("given", "started"),
    [
        (b'{"product_id":"%s","device_id":"\\ud83d\\ude00"}', "😀"),
        (b'{"product_id":"%s","device_id":"' + "ü".encode() * 64 + b'"}', "ü" * 64),
        (b'{"product_id":"%s","device_id":null,"platform":null}', None),
        (b'{"product_id":"0","product_id":"%s","device_id":"last counts"}', "last counts"),
        (b' {\t"product_id" :\r\n"%s" } ', None),
    ],
)
async def test_what_is_unusual_but_right_is_taken(door: OpenDoor, given: bytes, started: str | None) -> None:
    """Of a repeated member, the last counts."""
    body = raw(given % PRODUCT.upper().encode())
    headers = {**bearer(), "content-type": "application/json; charset=UTF-8"}
    answer = await door.client.post(f"{SESSIONS}/start", content=body, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.json()["data"]["attributes"]["device_id"] == started


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"content-type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "application/x-www-form-urlencoded"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "application/json; charset=utf-16"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": ""}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "application/jsonp"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "application/json", "accept": "text/html"}, 406, "NOT_ACCEPTABLE"),
        ({"content-type": "application/json", "accept": "application/json;q=0"}, 406, "NOT_ACCEPTABLE"),
        ({"content-type": "application/json", "accept": "*/*, application/json;q=0"}, 406, "NOT_ACCEPTABLE"),
        ({"content-type": "application/json", "accept": "*/*"}, 201, None),
        ({"content-type": "application/vnd.api+json", "accept": "text/html, application/*;q=0.1"}, 201, None),
    ],
)
async def test_formats_are_negotiated(door: OpenDoor, headers: dict[str, str], status: int, code: str | None) -> None:
    """R-ERR-2."""
    body = json.dumps(start_body()).encode()
    answer = await door.client.post(f"{SESSIONS}/start", content=body, headers={**bearer(), **headers})
    assert answer.status_code == status, answer.text
    if code is not None:
        assert code_of(answer) == code
        assert door.engine.calls == []


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("items?status=stolen", "status"),
        ("items?status=", "status"),
        ("items?status=%00", "status"),
        ("items?sort_by=price", "sort_by"),
        ("items?page=0", "page"),
        ("items?page=-1", "page"),
        ("items?page=1.5", "page"),
        ("items?page=99999999999999999999999999", "page"),
        ("items?page=" + "9" * 5_000, "page"),
        ("items?page=NaN", "page"),
        ("items?page=", "page"),
        ("items?limit=0", "limit"),
        ("items?limit=101", "limit"),
        ("items?limit=ten", "limit"),
        ("items?colour=red", "colour"),
        ("items?Page=1", "Page"),
        ("items?page=1&page=2", "page"),
        ("items?%ff=1", "�"),
        (f"items/{format_id(b'x' * 16)}?page=1", "page"),
        ("playtime/sessions?product_id=1", "product_id"),
        ("playtime/sessions?limit=1000", "limit"),
        ("playtime/sessions?cursor=", "cursor"),
        ("playtime/sessions?cursor=AAAA", "cursor"),
        ("playtime/sessions?cursor=" + "%C3%BC" * 16, "cursor"),
        ("playtime/sessions?cursor=" + "_" * 32, "cursor"),
        ("playtime/sessions?cursor=" + "A" * 100, "cursor"),
        ("playtime/sessions?before=1", "before"),
        ("playtime/sessions/active?limit=1", "limit"),
        ("playtime/stats?days=7", "days"),
    ],
)
async def test_a_query_that_is_not_described_is_refused_by_name(door: OpenDoor, path: str, parameter: str) -> None:
    """R-LIB-1: unknown parameter values are a 400, never ignored."""
    answer = await door.client.get(f"{BASE}/{path}", headers=bearer())
    assert (answer.status_code, code_of(answer)) == (400, "VALIDATION_ERROR"), answer.text
    assert answer.json()["errors"][0]["source"] == {"parameter": parameter}
    assert door.engine.calls == []


@pytest.mark.parametrize("path", ["/", "/nope", BASE, f"{BASE}/", f"{BASE}/items/", f"{BASE}/items/a/b", "/%00", "//"])
async def test_a_path_that_is_not_there_is_the_one_error(door: OpenDoor, path: str) -> None:
    """R-ERR-1: 404 routes."""
    answer = await door.client.get(path, headers=bearer())
    assert (answer.status_code, code_of(answer)) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", f"{BASE}/items", "GET, PATCH, POST"),
        ("DELETE", f"{BASE}/items/{format_id(b'x' * 16)}", "GET, PATCH"),
        ("GET", f"{SESSIONS}/start", "POST"),
        ("PATCH", f"{SESSIONS}/{format_id(b'x' * 16)}/heartbeat", "POST"),
        ("OPTIONS", f"{BASE}/playtime/stats", "GET"),
        ("HEAD", "/healthz", "GET"),
        ("POST", "/metrics", "GET"),
        ("BREW", "/healthz", "GET"),
    ],
)
async def test_a_method_that_is_not_there_says_which_are(door: OpenDoor, method: str, path: str, allowed: str) -> None:
    """R-ERR-1, R-ERR-2: 405 with ``Allow``."""
    answer = await door.client.request(method, path, headers=bearer())
    if method == "BREW":
        assert (answer.status_code, code_of(answer)) == (400, "MALFORMED_REQUEST")
        return
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    if method != "HEAD":
        assert code_of(answer) == "METHOD_NOT_ALLOWED"


MALFORMED: list[tuple[str, bytes]] = [
    ("noise", b"\x00\x01\x02\x03\r\n\r\n"),
    ("TLS hello", bytes.fromhex("16030100c8010000c40303") + b"\x00" * 50),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("no version", b"GET /healthz\r\n\r\n"),
    ("HTTP/9.9", b"GET /healthz HTTP/9.9\r\n\r\n"),
    ("space in a header's name", b"GET /healthz HTTP/1.1\r\nbad name: x\r\n\r\n"),
    ("NUL in a header", b"GET /healthz HTTP/1.1\r\nhost: a\x00b\r\n\r\n"),
    ("folded header", b"GET /healthz HTTP/1.1\r\na: b\r\n c\r\n\r\n"),
    ("two lengths", b"POST /healthz HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
    (
        "length and chunks",
        b"POST /healthz HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("a negative length", b"POST /healthz HTTP/1.1\r\ncontent-length: -1\r\n\r\n"),
    ("a wordy length", b"POST /healthz HTTP/1.1\r\ncontent-length: one\r\n\r\n"),
    ("an endless length", b"POST /healthz HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n"),
    ("an unknown coding", b"POST /healthz HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n"),
    ("a wrong chunk", b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab\r\n"),
    ("letters beyond ASCII in the path", b"GET /\xff\xfe HTTP/1.1\r\n\r\n"),
    ("CONNECT", b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org\r\n\r\n"),
]


@pytest.mark.parametrize("sent", [case[1] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
async def test_what_is_not_http_gets_the_one_error_and_the_end(door: OpenDoor, sent: bytes) -> None:
    """R-ERR-1, R-SEC-4."""
    answers = parse_raw(await door.raw(sent))
    assert [answer.status_code for answer in answers][-1] == 400
    assert code_of(answers[-1]) == "MALFORMED_REQUEST"
    assert answers[-1].headers["connection"] == "close"
    assert (await door.client.get("/healthz")).status_code == 200


async def test_a_trailer_is_not_a_header(door: OpenDoor) -> None:
    """R-SEC-1: who did not show a token before the body has shown none."""
    body = json.dumps(start_body()).encode()
    sent = (
        f"POST {SESSIONS}/start HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-type: application/json\r\n"
        f"connection: close\r\n\r\n{len(body):x}\r\n"
    ).encode() + body
    sent += f"\r\n0\r\nauthorization: Bearer {token()}\r\n\r\n".encode()
    (answer,) = parse_raw(await door.raw(sent))
    assert (answer.status_code, code_of(answer)) == (401, "UNAUTHENTICATED")


async def test_an_offer_to_upgrade_is_ignored_and_what_follows_still_read(door: OpenDoor) -> None:
    """No request smuggled in, none lost: what comes after is a request of its own."""
    body = json.dumps(start_body()).encode()
    upgrade = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n"
    sent = (
        f"POST {SESSIONS}/start HTTP/1.1\r\n{upgrade}authorization: Bearer {token()}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
    sent += f"GET /healthz HTTP/1.1\r\n{upgrade}\r\nGET /readyz HTTP/1.1\r\nconnection: close\r\n\r\n".encode()
    assert [answer.status_code for answer in parse_raw(await door.raw(sent))] == [201, 200, 200]


async def test_a_chunked_body_is_a_body(door: OpenDoor) -> None:
    async def parts() -> Any:
        for byte in json.dumps(start_body()).encode():
            yield bytes([byte])

    answer = await door.client.post(
        f"{SESSIONS}/start", content=parts(), headers={**bearer(), "content-type": "application/json"}
    )
    assert answer.status_code == 201
