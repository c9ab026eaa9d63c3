"""Sessions recorded offline, over HTTP (R-PT-6): one result each; the call is refused for what can't be read."""

from typing import Any

import pytest

from actors.domain.commands import AddOfflineSessions
from actors.domain.ids import ProductId, format_id
from actors.domain.offline import MAX_SESSIONS
from actors.domain.replies import OfflineRefusal, OfflineResults, Overloaded
from serve_app.rest.offline import _REASONS
from tests.support.door import GAME, OTHER_USER, SESSIONS, OpenDoor, bearer, code_of

PATH = f"{SESSIONS}/offline"
FIRST = "0b9f7f0e-9d3c-4e51-8f6e-6b1f8f2f3c4d"
SECOND = "1b9f7f0e-9d3c-4e51-8f6e-6b1f8f2f3c4d"
STRANGE = ProductId(bytes(16))


def session(
    client_id: str = FIRST, begin: str = "12:00:00", end: str = "13:00:00", game: ProductId = GAME, **more: Any
) -> dict[str, Any]:
    attributes = {
        "product_id": format_id(game),
        "start_time": f"2024-03-15T{begin}Z",
        "end_time": f"2024-03-15T{end}Z",
        **more,
    }
    return {"type": "offlineSession", "id": client_id, "attributes": attributes}


async def sent(door: OpenDoor, *sessions: dict[str, Any], **headers: str) -> Any:
    return await door.client.post(PATH, json={"data": sessions}, headers={**bearer(), **headers})


async def test_each_session_has_its_result_and_its_place_in_history(door: OpenDoor) -> None:
    """R-PT-6, R-PT-5: credited where it is new, refused with a reason where it cannot be, and listed once."""
    door.engine.pass_time(7200)
    asked = [
        session(platform="pc", device_id="deck"),
        session(SECOND, "12:30:00", "13:30:00.25"),
        session(game=STRANGE, client_id="2" + FIRST[1:]),
        session("3" + FIRST[1:], "12:00:00", "23:00:00"),
    ]
    answer = await sent(door, *asked, **{"accept-language": "en"})
    assert answer.status_code == 200, answer.text
    first, second, strange, future = answer.json()["data"]
    assert (first["id"], first["attributes"]["credited_seconds"]) == (FIRST, 3600)
    assert second["attributes"]["credited_seconds"] == 1800
    assert (strange["attributes"], strange["error"]["code"]) == ({"reason": "not_owned"}, "LIBRARY_ITEM_NOT_FOUND")
    assert future["attributes"] == {"reason": "in_future"}
    assert future["error"] == {
        "status": "422",
        "code": "OFFLINE_SESSION_IMPOSSIBLE",
        "title": "Impossible offline session",
        "detail": "it ends in the future; by then it may be sent again",
    }
    again = await sent(door, *asked, **{"accept-language": "en"})
    assert again.json() == answer.json()

    listed = (await door.client.get(SESSIONS, headers=bearer())).json()["data"]
    assert [one["attributes"]["client_session_id"] for one in listed] == [SECOND, FIRST]
    assert listed[1]["id"] == first["attributes"]["session_id"] != FIRST
    assert listed[1]["attributes"] == {
        "product_id": format_id(GAME),
        "start_time": "2024-03-15T12:00:00Z",
        "status": "completed",
        "end_time": "2024-03-15T13:00:00Z",
        "duration_seconds": 3600,
        "end_reason": "client",
        "platform": "pc",
        "device_id": "deck",
        "client_session_id": FIRST,
    }


async def test_an_online_session_names_no_client_session(door: OpenDoor) -> None:
    live = await door.start_session()
    door.engine.pass_time(10)
    ended = await door.client.post(f"{SESSIONS}/{live}/end", headers=bearer())
    assert "client_session_id" not in ended.json()["data"]["attributes"]
    assert (
        "client_session_id" not in (await door.client.get(SESSIONS, headers=bearer())).json()["data"][0]["attributes"]
    )


async def test_the_same_uuid_of_another_user_is_another_session(door: OpenDoor) -> None:
    """R-SEC-2."""
    door.engine.buy(OTHER_USER, GAME)
    door.engine.pass_time(7200)
    mine = await sent(door, session())
    theirs = await door.client.post(PATH, json={"data": [session()]}, headers=bearer(OTHER_USER))
    one, other = mine.json()["data"][0]["attributes"], theirs.json()["data"][0]["attributes"]
    assert one["credited_seconds"] == other["credited_seconds"] == 3600
    assert one["session_id"] != other["session_id"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"data": []}, "/data"),
        ({"data": [session()] * (MAX_SESSIONS + 1)}, "/data"),
        ({"data": [session("no-uuid")]}, "/data/0/id"),
        ({"data": [session(), session(SECOND, product_id="x")]}, "/data/1/attributes/product_id"),
        ({"data": [session(start_time="2024-03-15T12:00:00")]}, "/data/0/attributes/start_time"),
        ({"data": [session(end_time="yesterday")]}, "/data/0/attributes/end_time"),
        ({"data": [session(device_id="a\u0000b")]}, None),
        ({"data": [session(platform="ps")]}, None),
        ({"data": [session(duration=5)]}, None),
    ],
)
async def test_what_cannot_be_read_changes_nothing(door: OpenDoor, body: object, pointer: str | None) -> None:
    """R-SEC-4."""
    before = len(door.engine.calls)
    answer = await door.client.post(PATH, json=body, headers=bearer())
    assert (answer.status_code, code_of(answer)) == (400, "VALIDATION_ERROR")
    assert pointer is None or answer.json()["errors"][0]["source"] == {"pointer": pointer}
    assert len(door.engine.calls) == before


async def test_a_hundred_sessions_fit_in_a_call(door: OpenDoor) -> None:
    door.engine.pass_time(100_000)
    many = [
        session(f"{n:08x}{FIRST[8:]}", f"12:{n // 2:02}:{n % 2 * 30:02}", f"12:{n // 2:02}:{n % 2 * 30 + 1:02}.9")
        for n in range(MAX_SESSIONS)
    ]
    answer = await sent(door, *many)
    assert [one["attributes"]["credited_seconds"] for one in answer.json()["data"]] == [1] * MAX_SESSIONS
    assert isinstance(door.engine.calls[-1][1], AddOfflineSessions)


async def test_every_reason_has_its_error(door: OpenDoor) -> None:
    """R-ERR-2: what a rule may say is what a client can be told."""
    assert set(_REASONS) == set(OfflineRefusal.__args__)  # type: ignore[attr-defined]
    door.engine.answer_instead = OfflineResults(tuple(_REASONS))
    answer = await sent(door, *(session(f"{n}" + FIRST[1:]) for n in range(len(_REASONS))))
    assert [one["attributes"]["reason"] for one in answer.json()["data"]] == list(_REASONS)


async def test_an_engine_that_is_away_fails_the_whole_call(door: OpenDoor) -> None:
    door.engine.answer_instead = Overloaded("host mailbox")
    answer = await sent(door, session())
    assert (answer.status_code, code_of(answer)) == (503, "SERVICE_UNAVAILABLE")
