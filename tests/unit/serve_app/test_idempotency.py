"""``Idempotency-Key`` on every POST, whichever way it takes through the door (promise 2)."""

import re
from typing import Any

import pytest

from actors.domain.ids import format_id
from actors.domain.replies import Unavailable
from serve_app.idempotency import PATTERN
from tests.support.door import BASE, GAME, OTHER_GAME, OTHER_USER, SESSIONS, OpenDoor, bearer, code_of, start_body

UUID = "8e03978e-40d5-43dd-bc93-6894a57f9324"
OFFLINE = f"{SESSIONS}/offline"
BEATS = f"{BASE}/playtime/heartbeats"


def keyed(key: str = f'"{UUID}"', **more: str) -> dict[str, str]:
    return {**bearer(), "idempotency-key": key, **more}


def offline(end: str = "11:30:00") -> dict[str, Any]:
    attributes = {
        "product_id": format_id(GAME), "start_time": "2024-03-15T12:00:00Z", "end_time": f"2024-03-15T{end}Z"
    }  # fmt: skip
    return {"data": [{"type": "offlineSession", "id": UUID, "attributes": attributes}]}


async def test_a_start_that_comes_again_gets_the_same_answer(door: OpenDoor) -> None:
    """Status, body and headers, although the session has ended meanwhile; nothing is started twice."""
    first = await door.client.post(f"{SESSIONS}/start", json=start_body(device_id="sofa"), headers=keyed())
    assert first.status_code == 201
    session = first.json()["data"]["id"]
    door.engine.pass_time(60)
    await door.client.post(f"{SESSIONS}/{session}/end", headers=bearer())
    for client in (door.client, door.rest_client):
        again = await client.post(f"{SESSIONS}/start", json=start_body(device_id="sofa"), headers=keyed())
        assert (again.status_code, again.content) == (201, first.content)
        for name in ("library-accepted-at", "library-next-heartbeat-seconds", "content-type"):
            assert again.headers[name] == first.headers[name]
    assert len((await door.client.get(SESSIONS, headers=bearer())).json()["data"]) == 1


async def test_beats_and_ends_take_a_key_too(door: OpenDoor) -> None:
    session = await door.start_session()
    door.engine.pass_time(60)
    beat = f"{SESSIONS}/{session}/heartbeat"
    first = await door.client.post(beat, headers=keyed("beat-1"))
    assert (first.status_code, first.headers["library-accepted-at"]) == (204, "2024-03-15T12:01:00Z")
    door.engine.pass_time(60)
    for client in (door.client, door.rest_client):
        again = await client.post(beat, headers=keyed("beat-1"))
        assert (again.status_code, again.headers["library-accepted-at"]) == (204, "2024-03-15T12:01:00Z")
    ended = await door.client.post(f"{SESSIONS}/{session}/end", headers=keyed("end-1"))
    assert ended.json()["data"]["attributes"]["duration_seconds"] == 120
    reused = await door.client.post(f"{SESSIONS}/{session}/end", headers=keyed("beat-1"))
    assert (reused.status_code, code_of(reused)) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert (await door.client.post(f"{SESSIONS}/{session}/end", headers=keyed("end-1"))).content == ended.content


@pytest.mark.parametrize(
    "another",
    [
        ("start", start_body(OTHER_GAME)),
        ("start", start_body(device_id="x")),
        ("offline", offline()),
    ],
)
async def test_another_request_with_the_key_is_refused(door: OpenDoor, another: tuple[str, Any]) -> None:
    """Another body or another path; and the key is the first one's still."""
    door.engine.pass_time(3600)
    first = await door.client.post(f"{SESSIONS}/start", json=start_body(), headers=keyed())
    path, body = another
    answer = await door.client.post(f"{SESSIONS}/{path}", json=body, headers=keyed())
    assert (answer.status_code, code_of(answer)) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert len((await door.client.get(SESSIONS, headers=bearer())).json()["data"]) == 1
    again = await door.client.post(f"{SESSIONS}/start", json=start_body(), headers=keyed())
    assert again.content == first.content


async def test_a_key_is_its_users_alone(door: OpenDoor) -> None:
    """R-SEC-2."""
    door.engine.buy(OTHER_USER, GAME)
    mine = await door.client.post(f"{SESSIONS}/start", json=start_body(), headers=keyed())
    theirs = await door.client.post(f"{SESSIONS}/start", json=start_body(), headers=keyed() | bearer(OTHER_USER))
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["data"]["id"] != theirs.json()["data"]["id"]


async def test_a_key_with_quotes_is_the_same_without(door: OpenDoor) -> None:
    """The draft's string; many clients leave the quotes out."""
    first = await door.client.post(f"{SESSIONS}/start", json=start_body(), headers=keyed(f'"{UUID}"'))
    again = await door.client.post(f"{SESSIONS}/start", json=start_body(), headers=keyed(UUID))
    assert (again.status_code, again.content) == (201, first.content)


async def test_what_was_refused_is_tried_again(door: OpenDoor) -> None:
    """Refusals and outages are not remembered, nor is what was wrong with a request."""
    door.engine.answer_instead = Unavailable("away")
    assert (await door.client.post(f"{SESSIONS}/start", json=start_body(), headers=keyed())).status_code == 503
    door.engine.answer_instead = None
    assert (await door.client.post(f"{SESSIONS}/start", json={"data": 1}, headers=keyed())).status_code == 400
    assert (await door.client.post(f"{SESSIONS}/start", json=start_body(), headers=keyed())).status_code == 201


async def test_offline_sessions_are_answered_again_as_they_were(door: OpenDoor) -> None:
    """R-PT-6: also one that was refused then and would be taken now; a new key asks anew."""
    first = await door.client.post(OFFLINE, json=offline("13:00:00"), headers=keyed())
    assert first.json()["data"][0]["attributes"] == {"reason": "in_future"}
    door.engine.pass_time(7200)
    again = await door.client.post(OFFLINE, json=offline("13:00:00"), headers=keyed())
    assert again.content == first.content
    anew = await door.client.post(OFFLINE, json=offline("13:00:00"), headers=keyed("another"))
    assert anew.json()["data"][0]["attributes"]["credited_seconds"] == 3600


async def test_many_heartbeats_under_one_key(door: OpenDoor) -> None:
    """R-PT-7: each is remembered by its own actor; another body is refused before anybody is beaten."""
    first, second = await door.start_session(), await door.start_session(OTHER_GAME)
    asked = {"data": [{"type": "playtimeHeartbeat", "id": first}, {"type": "playtimeHeartbeat", "id": UUID}]}
    door.engine.pass_time(60)
    answer = await door.client.post(BEATS, json=asked, headers=keyed())
    door.engine.pass_time(60)
    again = await door.client.post(BEATS, json=asked, headers=keyed())
    assert again.content == answer.content
    assert answer.json()["data"][0]["attributes"]["accepted_at"] == "2024-03-15T12:01:00Z"
    asked["data"][1]["id"] = second
    reused = await door.client.post(BEATS, json=asked, headers=keyed())
    assert (reused.status_code, code_of(reused)) == (422, "IDEMPOTENCY_KEY_REUSED")
    live = (await door.client.get(f"{SESSIONS}/active", headers=bearer())).json()["data"]
    assert len(live) == 2
    ended = await door.client.post(f"{SESSIONS}/{second}/end", headers=bearer())
    assert ended.json()["data"]["attributes"]["duration_seconds"] == 120


BAD_KEYS = ['""', '"', "a b", "a,b", 'a"b', "a\\b", "x" * 129, '"' + "x" * 129 + '"', "é"]


@pytest.mark.parametrize("key", BAD_KEYS)
async def test_every_post_refuses_a_key_that_is_none(door: OpenDoor, key: str) -> None:
    """R-SEC-4: every POST there is, as the OpenAPI document lists them; nothing is done."""
    document = (await door.client.get(f"{BASE}/openapi.json")).json()
    posts = [path for path, methods in document["paths"].items() if "post" in methods]
    assert len(posts) >= 5
    good: dict[str, Any] = {
        f"{SESSIONS}/start": start_body(),
        OFFLINE: offline(),
        BEATS: {"data": [{"type": "playtimeHeartbeat", "id": UUID}]},
        f"{BASE}/items": {"data": {"type": "libraryItemCreation", "attributes": {"product_id": UUID}}},
        f"{BASE}/categories": {"data": {"type": "userCategoryCreation", "attributes": {"name": "shelf"}}},
    }
    before = len(door.engine.calls)
    for path in posts:
        real = re.sub(r"\{\w+\}", UUID, path)
        content = good.get(path)
        headers = {**bearer(), "idempotency-key": key.encode("latin-1")}
        answer = await door.client.post(real, json=content, headers=headers)  # type: ignore[arg-type]
        assert (answer.status_code, code_of(answer)) == (400, "VALIDATION_ERROR"), path
        assert "Idempotency-Key" in answer.json()["errors"][0]["detail"]
    assert len(door.engine.calls) == before


async def test_a_key_that_is_repeated_is_none(door: OpenDoor) -> None:
    headers = [*bearer().items(), ("idempotency-key", "a"), ("idempotency-key", "a")]
    answer = await door.client.post(f"{SESSIONS}/start", json=start_body(), headers=headers)
    assert (answer.status_code, code_of(answer)) == (400, "VALIDATION_ERROR")


async def test_every_post_documents_its_key(door: OpenDoor) -> None:
    """The contract for clients: the header and the refusal, at every POST and nowhere else."""
    document = (await door.client.get(f"{BASE}/openapi.json")).json()
    for methods in document["paths"].values():
        for method, operation in methods.items():
            named = [one for one in operation.get("parameters", []) if one.get("name") == "Idempotency-Key"]
            assert len(named) == (method == "post")
            if named:
                assert named[0]["schema"]["pattern"] == f"^({PATTERN})$"
                assert "IDEMPOTENCY_KEY_REUSED" in operation["responses"]["422"]["description"]
