"""The three session calls through the fast path and through the documented routes: the same answers (R-PT-1)."""

from pathlib import Path

import httpx
import pytest

from actors.domain.commands import Heartbeat, StartSession
from actors.domain.ids import format_id
from actors.domain.replies import Failed, Overloaded, Unavailable
from tests.support.door import (
    BASE,
    GAME,
    OTHER_GAME,
    OTHER_USER,
    SESSIONS,
    OpenDoor,
    bearer,
    code_of,
    open_door,
    start_body,
    token,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


WAYS = ("beat lane", "fast path", "lost on the lane", "documented routes")
"""Whatever way a request takes through a door, its answer is the same."""


def take(way: str, door: OpenDoor) -> httpx.AsyncClient:
    door.engine.at_once = way in ("beat lane", "lost on the lane")
    door.engine.lose = way == "lost on the lane"
    return door.rest_client if way == "documented routes" else door.client


@pytest.fixture(params=WAYS)
async def client(request: pytest.FixtureRequest, door: OpenDoor) -> httpx.AsyncClient:
    chosen = take(request.param, door)
    chosen.headers.update(bearer())
    return chosen


async def test_a_started_session_is_created_and_told_when_to_beat(client: httpx.AsyncClient, door: OpenDoor) -> None:
    """R-PT-1, R-PT-9, R-PT-10."""
    answer = await client.post(f"{SESSIONS}/start", json=start_body(platform="pc", device_id="sofa"))
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["library-accepted-at"] == "2024-03-15T12:00:00Z"
    assert answer.headers["library-next-heartbeat-seconds"] == "60"
    session = answer.json()["data"]
    assert session["type"] == "playtimeSession"
    assert session["attributes"] == {
        "product_id": format_id(GAME),
        "start_time": "2024-03-15T12:00:00Z",
        "status": "active",
        "platform": "pc",
        "device_id": "sofa",
    }


async def test_the_same_device_gets_its_session_again(client: httpx.AsyncClient, door: OpenDoor) -> None:
    """R-PT-9: 200 with the same session, accepted when it last gave proof of life."""
    first = await client.post(f"{SESSIONS}/start", json=start_body(device_id="sofa"))
    door.engine.pass_time(60)
    await client.post(f"{SESSIONS}/{first.json()['data']['id']}/heartbeat")
    door.engine.pass_time(5)
    again = await client.post(f"{SESSIONS}/start", json=start_body(device_id="sofa"))
    assert again.status_code == 200
    assert again.json() == first.json()
    assert again.headers["library-accepted-at"] == "2024-03-15T12:01:00Z"


async def test_each_start_has_a_command_id_of_its_own(client: httpx.AsyncClient, door: OpenDoor) -> None:
    """Promise 2: the router may retry under it."""
    await client.post(f"{SESSIONS}/start", json=start_body())
    await client.post(f"{SESSIONS}/start", json=start_body())
    ids = [command_id for _, command, command_id, _ in door.engine.calls if isinstance(command, StartSession)]
    assert None not in ids
    assert len(set(ids)) == 2


async def test_a_heartbeat_is_accepted_at_service_time(client: httpx.AsyncClient, door: OpenDoor) -> None:
    """R-PT-1, R-PT-9."""
    session = await door.start_session()
    door.engine.pass_time(60.5)
    answer = await client.post(f"{SESSIONS}/{session}/heartbeat")
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["library-accepted-at"] == "2024-03-15T12:01:00.500000Z"
    assert answer.headers["library-next-heartbeat-seconds"] == "60"


async def test_an_ended_session_shows_its_length_however_often_it_is_ended(
    client: httpx.AsyncClient, door: OpenDoor
) -> None:
    """R-PT-1, R-PT-9."""
    session = await door.start_session(platform="web")
    door.engine.pass_time(90)
    first = await client.post(f"{SESSIONS}/{session}/end")
    door.engine.pass_time(90)
    again = await client.post(f"{SESSIONS}/{session}/end")
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert first.headers["library-accepted-at"] == "2024-03-15T12:01:30Z"
    assert first.json()["data"]["attributes"] == {
        "product_id": format_id(GAME),
        "start_time": "2024-03-15T12:00:00Z",
        "status": "completed",
        "end_time": "2024-03-15T12:01:30Z",
        "duration_seconds": 90,
        "end_reason": "client",
        "platform": "web",
        "device_id": None,
    }


async def test_a_small_body_with_a_heartbeat_is_ignored(client: httpx.AsyncClient, door: OpenDoor) -> None:
    session = await door.start_session()
    assert (await client.post(f"{SESSIONS}/{session}/heartbeat", content=b"\xff\x00")).status_code == 204
    assert (await client.post(f"{SESSIONS}/{session}/end", json={"any": "thing"})).status_code == 200


async def test_a_heartbeat_after_the_end_is_a_conflict(client: httpx.AsyncClient, door: OpenDoor) -> None:
    """R-PT-9."""
    session = await door.start_session()
    await client.post(f"{SESSIONS}/{session}/end")
    answer = await client.post(f"{SESSIONS}/{session}/heartbeat")
    assert (answer.status_code, code_of(answer)) == (409, "SESSION_ENDED")


@pytest.mark.parametrize("verb", ["heartbeat", "end"])
@pytest.mark.parametrize("which", ["unknown", "malformed", "another user's"])
async def test_a_session_of_somebody_else_cannot_be_told_from_none(
    client: httpx.AsyncClient, door: OpenDoor, verb: str, which: str
) -> None:
    """R-SEC-2."""
    door.engine.buy(OTHER_USER, GAME)
    foreign = await door.start_session(user=OTHER_USER)
    before = door.engine.users[OTHER_USER]
    session = {"unknown": format_id(b"x" * 16), "malformed": "%00nope", "another user's": foreign}[which]
    answer = await client.post(f"{SESSIONS}/{session}/{verb}")
    nobody = await client.post(f"{SESSIONS}/{format_id(b'y' * 16)}/{verb}")
    assert (answer.status_code, code_of(answer)) == (404, "SESSION_NOT_FOUND")
    assert answer.json() == nobody.json()
    assert door.engine.users[OTHER_USER] is before


async def test_a_product_that_is_not_owned_cannot_be_started(client: httpx.AsyncClient) -> None:
    """R-PT-2, R-PT-9."""
    answer = await client.post(f"{SESSIONS}/start", json=start_body(GAME), headers=bearer(OTHER_USER))
    assert (answer.status_code, code_of(answer)) == (404, "LIBRARY_ITEM_NOT_FOUND")


async def test_too_many_live_sessions_are_refused(client: httpx.AsyncClient, door: OpenDoor) -> None:
    """R-PT-8."""
    door.engine.policy = type(door.engine.policy)(max_live_sessions=1)
    await door.start_session(GAME)
    answer = await client.post(f"{SESSIONS}/start", json=start_body(OTHER_GAME))
    assert (answer.status_code, code_of(answer)) == (422, "LIVE_SESSION_LIMIT_REACHED")


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (Overloaded("mailbox", retry_after_s=7), 503, "SERVICE_UNAVAILABLE"),
        (Unavailable("timed out", unknown=True, retry_after_s=7), 503, "SERVICE_UNAVAILABLE"),
        (Failed("incident-1"), 500, "INTERNAL_ERROR"),
    ],
)
@pytest.mark.parametrize("call", ["start", f"{format_id(b'x' * 16)}/heartbeat", f"{format_id(b'x' * 16)}/end"])
async def test_what_happens_to_the_engine_is_told_and_when_to_come_back(
    client: httpx.AsyncClient, door: OpenDoor, reply: object, status: int, code: str, call: str
) -> None:
    """R-ERR-1, promise 6."""
    door.engine.answer_instead = reply  # type: ignore[assignment]
    answer = await client.post(f"{SESSIONS}/{call}", json=start_body())
    assert (answer.status_code, code_of(answer)) == (status, code)
    if status == 503:
        assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize("call", ["start", f"{format_id(b'x' * 16)}/heartbeat"])
async def test_a_bug_is_an_incident_and_says_nothing_of_itself(
    client: httpx.AsyncClient, door: OpenDoor, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    """R-ERR-1: crashes too."""
    door.engine.raise_instead = KeyError("inner secrets")
    answer = await client.post(f"{SESSIONS}/{call}", json=start_body())
    assert (answer.status_code, code_of(answer)) == (500, "INTERNAL_ERROR")
    assert "secrets" not in answer.text
    incident = answer.json()["errors"][0]["detail"].removeprefix("incident ")
    assert any(incident in record.getMessage() and record.exc_info for record in caplog.records)


async def test_a_clients_trace_reaches_the_engine_and_its_errors(client: httpx.AsyncClient, door: OpenDoor) -> None:
    """R-OBS-1."""
    answer = await client.post(f"{SESSIONS}/start", json=start_body(), headers={"traceparent": TRACEPARENT})
    missing = await client.post(f"{SESSIONS}/{format_id(b'x' * 16)}/heartbeat", headers={"traceparent": TRACEPARENT})
    assert answer.status_code == 201
    assert {trace for _, _, _, trace in door.engine.calls} == {TRACE}
    assert missing.headers["library-trace-id"] == TRACE


async def test_a_refused_start_is_logged_under_the_trace_that_the_engine_saw(
    client: httpx.AsyncClient, door: OpenDoor
) -> None:
    """R-OBS-1."""
    answer = await client.post(f"{SESSIONS}/start", json=start_body(), headers=bearer(OTHER_USER))
    assert door.engine.calls[-1][3] == answer.headers["library-trace-id"]


@pytest.mark.parametrize("malformed", ["", "00", TRACE, f"ff-{TRACE}-00f067aa0ba902b7-01", f"00-{'0' * 32}-1-01"])
async def test_a_malformed_trace_is_as_good_as_none(client: httpx.AsyncClient, door: OpenDoor, malformed: str) -> None:
    session = await door.start_session()
    assert (await client.post(f"{SESSIONS}/{session}/heartbeat", headers={"traceparent": malformed})).is_success
    assert door.engine.calls[-1][3] is None


async def test_starts_and_ends_are_logged_with_user_session_and_trace_but_no_token(
    client: httpx.AsyncClient, door: OpenDoor, caplog: pytest.LogCaptureFixture
) -> None:
    """R-OBS-1, R-OBS-2, R-SEC-3."""
    caplog.set_level("INFO")
    started = await client.post(f"{SESSIONS}/start", json=start_body())
    session = started.json()["data"]["id"]
    await client.post(f"{SESSIONS}/{session}/heartbeat")
    await client.post(f"{SESSIONS}/{session}/end")
    lines = [record for record in caplog.records if record.name == "library.access"]
    assert [line.getMessage() for line in lines] == ["session started", "session ended"]
    for line in lines:
        assert line.user_id == "7c9e6679-7425-40de-944b-e07fc1f90ae7"  # type: ignore[attr-defined]
        assert line.session_id == session  # type: ignore[attr-defined]
        assert len(line.trace_id) == 32  # type: ignore[attr-defined]
    assert token().split(".")[2] not in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("POST", "start", {"json": start_body()}),
        ("POST", "start", {"json": start_body(OTHER_GAME, platform="mobile")}),
        ("POST", "start", {"content": b"{"}),
        ("POST", "start", {"content": b""}),
        ("POST", "start", {"json": start_body(), "headers": {"accept": "text/html"}}),
        ("POST", "start", {"data": {"a": "b"}}),
        ("POST", "start", {"json": start_body(), "headers": {"accept-language": "en", "authorization": "Bearer x"}}),
        ("POST", "start?dry=1", {"json": start_body()}),
        ("POST", "START", {}),
        ("POST", "start/", {"json": start_body()}),
        ("GET", "start", {}),
        ("POST", f"{format_id(b'x' * 16)}/heartbeat", {}),
        ("POST", f"{format_id(b'x' * 16)}/end", {"headers": {"accept-language": "en"}}),
        ("POST", "a/b/heartbeat", {}),
        ("POST", "/heartbeat", {}),
        ("PUT", f"{format_id(b'x' * 16)}/heartbeat", {}),
    ],
)
async def test_all_ways_give_the_same_answer(run_dir: Path, method: str, path: str, options: dict[str, object]) -> None:
    """The lane and the fast path are only faster."""
    answers = []
    for way in WAYS:
        async with open_door(run_dir) as door:
            client = take(way, door)
            client.headers.update(bearer())
            answer = await client.request(method, f"{BASE}/playtime/sessions/{path}", **options)  # type: ignore[arg-type]
            headers = {
                name: value for name, value in answer.headers.items() if name not in ("date", "library-trace-id")
            }
            answers.append((answer.status_code, headers, answer.content))
    assert answers[1:] == answers[:1] * (len(WAYS) - 1)


async def test_a_heartbeat_carries_no_command_id(client: httpx.AsyncClient, door: OpenDoor) -> None:
    """ARCHITECTURE.md, command ids: idempotent by state, so nothing needs to be remembered."""
    session = await door.start_session()
    await client.post(f"{SESSIONS}/{session}/heartbeat")
    _, command, command_id, _ = door.engine.calls[-1]
    assert isinstance(command, Heartbeat)
    assert command_id is None
