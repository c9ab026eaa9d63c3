"""What is particular to the lane; that its answers are those of the other ways stands in test_sessions_over_http."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.domain.commands import Heartbeat
from actors.domain.replies import Overloaded
from serve_app.settings import RateSettings
from tests.support.door import SESSIONS, OpenDoor, bearer, open_door

Headers = dict[str, str]


def beat(session: str, headers: Headers | None = None) -> bytes:
    lines = [f"POST {SESSIONS}/{session}/heartbeat HTTP/1.1", "host: door"]
    lines += [f"{name}: {value}" for name, value in (bearer() | (headers or {})).items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def known_session(door: OpenDoor) -> str:
    """Started, and its user's token is known from it."""
    return await door.start_session()


def beats(door: OpenDoor) -> int:
    return len([1 for _, command, _, _ in door.engine.calls if isinstance(command, Heartbeat)])


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110  # what is waited for happens in the door
            await asyncio.sleep(0.005)


async def test_beats_in_a_row_on_one_connection_are_each_answered_in_order(door: OpenDoor) -> None:
    """R-PT-1: pipelined, between other requests."""
    session = await known_session(door)
    end = beat(session).replace(b"/heartbeat ", b"/end ")
    last = beat(session, {"connection": "close"})
    answers = await door.raw(beat(session) + beat(session) + end + last)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"204", b"204", b"200", b"409"]


async def test_a_beat_that_waits_while_the_door_drains_is_still_answered(door: OpenDoor) -> None:
    """R-NFR-4: an end of the door costs no answer, and the client is told to connect again."""
    session = await known_session(door)
    door.engine.hold = asyncio.Event()
    asked = asyncio.create_task(door.raw(beat(session)))
    await until(lambda: beats(door) == 1)
    draining = asyncio.create_task(door.door.drain())
    await asyncio.sleep(0)
    door.engine.hold.set()
    answer = await asked
    await draining
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b"\r\nconnection: close\r\n" in answer.lower()


async def test_a_client_that_left_is_not_answered_and_not_counted_as_in_work(door: OpenDoor) -> None:
    session = await known_session(door)
    door.engine.hold = asyncio.Event()
    _, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(beat(session))
    await until(lambda: beats(door) == 1)
    assert door.door.load()["in_flight"] == 1
    writer.close()
    await writer.wait_closed()
    door.engine.hold.set()
    await until(lambda: door.door.load()["in_flight"] == 0)


async def test_a_lost_attempt_is_made_again_by_the_long_way(door: OpenDoor) -> None:
    """Promise 2: a heartbeat may be sent again whatever became of it."""
    session = await known_session(door)
    door.engine.lose = True
    answer = await door.client.post(f"{SESSIONS}/{session}/heartbeat", headers=bearer())
    assert answer.status_code == 204
    assert beats(door) == 2
    assert door.door.load()["in_flight"] == 0
    on_the_lane, after_it = door.engine.timeouts[-2:]
    assert 0 < after_it < on_the_lane, "both attempts share the time of one request"


@pytest.mark.parametrize("chance", ["lose", "not at once"])
async def test_the_long_way_does_not_ask_again_what_the_lane_has_admitted(run_dir: Path, chance: str) -> None:
    """R-SEC-4: a beat in time is not refused because its first attempt met a host that was going."""
    one_beat = RateSettings(beats_per_s=0.01, beats_burst=1, beat_gap_s=100)
    async with open_door(run_dir, rates=one_beat) as door:
        session = await known_session(door)
        door.client.headers.update(bearer())
        door.engine.lose, door.engine.at_once = chance == "lose", chance == "lose"
        path = f"{SESSIONS}/{session}/heartbeat"
        statuses = [(await door.client.post(path)).status_code for _ in range(3)]
    assert statuses == [204, 204, 429], "the burst, one that has waited, one that has not"
    assert door.door.load()["in_flight"] == 0


async def test_what_waits_behind_a_beat_on_the_long_way_is_answered_by_a_draining_door(door: OpenDoor) -> None:
    """R-NFR-4."""
    session = await known_session(door)
    door.engine.hold, door.engine.lose = asyncio.Event(), True
    asked = asyncio.create_task(door.raw(beat(session) + beat(session, {"connection": "close"})))
    await until(lambda: beats(door) == 1)
    draining = asyncio.create_task(door.door.drain())
    await asyncio.sleep(0)
    door.engine.hold.set()
    answers = await asked
    await draining
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"204", b"204"]


async def test_an_overloaded_host_is_not_asked_twice(door: OpenDoor) -> None:
    """Promise 6: a refusal for lack of room must not become more load."""
    session = await known_session(door)
    door.engine.answer_instead = Overloaded("host mailbox")
    answer = await door.client.post(f"{SESSIONS}/{session}/heartbeat", headers=bearer())
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert beats(door) == 1


@pytest.mark.parametrize("other", [{"headers": {"idempotency-key": "a"}}, {"content": b"{}"}])
async def test_what_is_not_a_plain_beat_never_enters_the_lane(door: OpenDoor, other: dict[str, Any]) -> None:
    session = await known_session(door)
    door.engine.refuse_the_lane = True
    door.client.headers.update(bearer())
    answer = await door.client.post(f"{SESSIONS}/{session}/heartbeat", **other)
    assert answer.status_code == 204
