"""Many heartbeats in one call (R-PT-7): one result each, and nobody reaches another's session without the role."""

import json
from typing import Any

import pytest

from actors.domain.commands import Heartbeat
from actors.domain.ids import SessionId, UserId, format_id
from actors.domain.replies import HeartbeatCounted, Overloaded, Refused
from serve_app.many_heartbeats import MAX_BEATS, Beat, beat_many
from tests.support.door import BASE, OTHER_GAME, OTHER_USER, USER, OpenDoor, bearer, code_of, token

PATH = f"{BASE}/playtime/heartbeats"
ABSENT = "0b9f7f0e-9d3c-4e51-8f6e-6b1f8f2f3c4d"
GATEWAY = UserId(bytes.fromhex("99999999742540de944be07fc1f90ae7"))


def beats(*sessions: str | tuple[str, UserId]) -> dict[str, Any]:
    data = []
    for one in sessions:
        session, user = (one, None) if isinstance(one, str) else one
        attributes = {} if user is None else {"attributes": {"user_id": format_id(user)}}
        data.append({"type": "playtimeHeartbeat", "id": session, **attributes})
    return {"data": data}


def trusted(roles: object = ("game_server",)) -> dict[str, str]:
    return {"authorization": f"Bearer {token(GATEWAY, roles=list(roles) if isinstance(roles, tuple) else roles)}"}


def told(answer: Any) -> list[str]:
    """Of each result: when it was accepted, or its error's code."""
    assert answer.status_code == 200, answer.text
    return [
        one["error"]["code"] if "error" in one else one["attributes"]["accepted_at"] for one in answer.json()["data"]
    ]


async def test_each_session_gets_its_own_result_in_order(door: OpenDoor) -> None:
    """R-PT-7: what a heartbeat alone would have met, in the order of the request; repeated ones beat once."""
    live, over = await door.start_session(), await door.start_session(OTHER_GAME)
    await door.client.post(f"{BASE}/playtime/sessions/{over}/end", headers=bearer())
    door.engine.pass_time(60)
    asked = beats(over, live, ABSENT, live, "no-uuid")
    answer = await door.client.post(PATH, json=asked, headers=bearer())
    now = "2024-03-15T12:01:00Z"
    assert told(answer) == ["SESSION_ENDED", now, "SESSION_NOT_FOUND", now, "SESSION_NOT_FOUND"]
    assert [one["id"] for one in answer.json()["data"]] == [over, live, ABSENT, live, "no-uuid"]
    assert answer.json()["data"][1]["attributes"]["next_heartbeat_seconds"] == 60
    assert answer.json()["data"][0]["error"]["status"] == "409"
    assert sum(isinstance(command, Heartbeat) for _, command, *_ in door.engine.calls) == 3


async def test_a_player_beats_own_sessions_only(door: OpenDoor) -> None:
    """R-SEC-2: another user's session is answered like an absent one, and its actor is not even asked."""
    session = await door.start_session()
    door.engine.pass_time(60)
    before = len(door.engine.calls)
    answer = await door.client.post(PATH, json=beats((session, USER), (ABSENT, USER)), headers=bearer(OTHER_USER))
    assert told(answer) == ["SESSION_NOT_FOUND", "SESSION_NOT_FOUND"]
    theirs, absent = answer.json()["data"]
    assert {**theirs, "id": ""} == {**absent, "id": ""}
    assert len(door.engine.calls) == before


@pytest.mark.parametrize("roles", [None, [], ["player"], "game_server", {"game_server": True}, [["game_server"]], 7])
async def test_no_other_claim_makes_a_game_server(door: OpenDoor, roles: object) -> None:
    """R-SEC-5: the role is a name in a list; any other claim leaves the token a player's, and good."""
    session = await door.start_session()
    door.engine.pass_time(60)
    answer = await door.client.post(PATH, json=beats((session, USER)), headers=trusted(roles))
    assert told(answer) == ["SESSION_NOT_FOUND"]


async def test_a_game_server_beats_for_everybody(door: OpenDoor) -> None:
    """R-PT-7, R-SEC-5: also after its token is remembered."""
    door.engine.buy(OTHER_USER, OTHER_GAME)
    first, second = await door.start_session(), await door.start_session(OTHER_GAME, OTHER_USER)
    for minute in (1, 2):
        door.engine.pass_time(60)
        asked = beats((first, USER), (second, OTHER_USER), (first, OTHER_USER), first)
        answer = await door.client.post(PATH, json=asked, headers=trusted())
        now = f"2024-03-15T12:0{minute}:00Z"
        assert told(answer) == [now, now, "SESSION_NOT_FOUND", "SESSION_NOT_FOUND"]


async def test_a_thousand_fit_in_one_call_and_no_more(door: OpenDoor) -> None:
    """R-PT-7: 1,000 sessions with their users, spelled at length, fit the body's bound."""
    many = [(ABSENT, UserId(n.to_bytes(16, "big"))) for n in range(MAX_BEATS)]
    sent = json.dumps(beats(*many), indent=1).encode()
    answer = await door.client.post(PATH, content=sent, headers={**trusted(), "content-type": "application/json"})
    assert told(answer) == ["SESSION_NOT_FOUND"] * MAX_BEATS
    answer = await door.client.post(PATH, json=beats(*many, many[0]), headers=trusted())
    assert (answer.status_code, code_of(answer)) == (400, "VALIDATION_ERROR")
    assert answer.json()["errors"][0]["source"] == {"pointer": "/data"}


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {"data": [{"type": "heartbeat", "id": ABSENT}]},
        {"data": [{"type": "playtimeHeartbeat"}]},
        {"data": [{"type": "playtimeHeartbeat", "id": ABSENT, "attributes": {"user": "x"}}]},
        {"data": [{"type": "playtimeHeartbeat", "id": ABSENT, "attributes": {"user_id": "x"}}]},
    ],
)
async def test_a_bad_body_beats_nobody(door: OpenDoor, body: object) -> None:
    """R-SEC-4: all or nothing where the request itself is wrong."""
    before = len(door.engine.calls)
    answer = await door.client.post(PATH, json=body, headers=bearer())
    assert (answer.status_code, code_of(answer)) == (400, "VALIDATION_ERROR")
    assert len(door.engine.calls) == before


async def test_what_keeps_the_engine_from_answering_is_a_result_too(door: OpenDoor) -> None:
    """R-PT-7: a host that is away fails its own sessions, not the call; titles are in the caller's language."""
    door.engine.answer_instead = Overloaded("host mailbox")
    answer = await door.client.post(PATH, json=beats(ABSENT), headers={**bearer(), "accept-language": "en"})
    assert told(answer) == ["SERVICE_UNAVAILABLE"]
    assert answer.json()["data"][0]["error"]["title"] == "Service unavailable"


async def test_replies_belong_to_their_beats(door: OpenDoor) -> None:
    """The core that every door calls: order kept, repeats answered, the bound checked."""
    session = SessionId(bytes.fromhex((await door.start_session()).replace("-", "")))
    mine, absent = Beat(USER, session), Beat(USER, SessionId(bytes(16)))
    door.engine.pass_time(60)
    replies = await beat_many(door.engine, [absent, mine, absent, mine], timeout_s=1)
    assert [type(reply) for reply in replies] == [Refused, HeartbeatCounted, Refused, HeartbeatCounted]
    assert replies[1] is replies[3]
    with pytest.raises(ValueError, match="1001"):
        await beat_many(door.engine, [mine] * (MAX_BEATS + 1), timeout_s=1)
