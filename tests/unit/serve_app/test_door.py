"""A door's beginning, health, load and end."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.support.door import GAME, SESSIONS, OpenDoor, bearer, built_door, code_of, open_door, start_body, until
from tests.support.rule_engine import RuleEngine


async def test_a_door_is_ready_once_it_has_a_complete_map(door: OpenDoor) -> None:
    """R-OBS-1, issue 3: from the first complete map of shards."""
    door.engine.map_complete = False
    answer = await door.client.get("/readyz")
    assert (answer.status_code, code_of(answer)) == (503, "SERVICE_UNAVAILABLE")
    assert (await door.client.get("/healthz")).status_code == 200
    door.engine.map_complete = True
    assert (await door.client.get("/readyz")).json() == {"status": "ready"}


async def test_draining_finishes_what_is_in_work_and_closes(run_dir: Path) -> None:
    """NFR-4: a rolling upgrade is a retry, not a loss."""
    engine = RuleEngine()
    async with open_door(run_dir, engine=engine) as door:
        engine.hold = asyncio.Event()
        started = asyncio.create_task(door.client.post(f"{SESSIONS}/start", json=start_body(), headers=bearer()))
        await until(lambda: engine.calls)
        draining = asyncio.create_task(door.door.drain())
        await until(lambda: not door.door.accepting)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", door.port)
        engine.hold.set()
        answer = await started
        assert answer.status_code == 201
        assert answer.headers["connection"] == "close"
        await draining
        assert door.door.load()["connections"] == 0


async def test_a_quiet_client_hears_of_the_end_with_its_next_answer(run_dir: Path) -> None:
    """ARCHITECTURE.md, traps: ``Connection: close`` while draining; not ready any more."""
    async with open_door(run_dir, drain_idle_s=5.0) as door:
        assert (await door.client.get("/readyz")).status_code == 200
        draining = asyncio.create_task(door.door.drain())
        await until(lambda: not door.door.accepting)
        answer = await door.client.get("/readyz")
        assert (answer.status_code, code_of(answer)) == (503, "SERVICE_UNAVAILABLE")
        assert answer.headers["connection"] == "close"
        await draining


async def test_a_request_that_never_ends_does_not_hold_up_the_end(run_dir: Path) -> None:
    """Every wait has a deadline."""
    engine = RuleEngine()
    async with open_door(run_dir, engine=engine, drain_grace_s=0.2, drain_idle_s=0.1) as door:
        engine.hold = asyncio.Event()
        stuck = asyncio.create_task(door.client.post(f"{SESSIONS}/start", json=start_body(), headers=bearer()))
        await until(lambda: engine.calls)
        await door.door.drain()
        with pytest.raises(httpx.HTTPError):
            await stuck
        engine.hold.set()


async def test_pipelined_requests_of_a_draining_door_are_all_answered(run_dir: Path) -> None:
    engine = RuleEngine()
    async with open_door(run_dir, engine=engine) as door:
        session = await door.start_session()
        engine.hold = asyncio.Event()
        one = f"POST {SESSIONS}/{session}/heartbeat HTTP/1.1\r\nauthorization: {bearer()['authorization']}\r\n\r\n"
        received = asyncio.create_task(door.raw(one.encode() * 3))
        await until(lambda: len(engine.calls) == 2)
        draining = asyncio.create_task(door.door.drain())
        await until(lambda: not door.door.accepting)
        engine.hold.set()
        answers = await received
        assert answers.count(b"HTTP/1.1 204 ") == 3
        assert answers.count(b"connection: close") == 1
        assert answers.rstrip().endswith(b"connection: close")
        await draining


async def test_draining_twice_is_draining_once(run_dir: Path) -> None:
    async with open_door(run_dir) as door:
        await asyncio.gather(door.door.drain(), door.door.drain())
        await door.door.drain()


async def test_a_door_that_was_never_opened_drains_at_once_and_is_not_healthy(run_dir: Path) -> None:
    unopened = built_door(run_dir, RuleEngine())
    with pytest.raises(RuntimeError):
        unopened.check_health()
    await unopened.drain()


async def test_a_door_one_of_whose_tasks_has_ended_is_not_healthy_and_says_which(door: OpenDoor) -> None:
    """Serve replaces it; whoever reads the log learns why."""
    door.door.check_health()
    next(task for task in asyncio.all_tasks() if task.get_name() == "sweeper").cancel()
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="sweeper"):
        door.door.check_health()


async def test_doors_share_a_port(run_dir: Path) -> None:
    """ARCHITECTURE.md: ``SO_REUSEPORT``, the kernel spreads connections."""
    async with open_door(run_dir, process="one") as one, open_door(run_dir, process="two", port=one.port) as two:
        assert one.port == two.port
        assert (await two.client.get("/healthz")).status_code == 200
    async with open_door(run_dir) as another:
        assert (await another.client.get("/healthz")).status_code == 200


async def test_the_load_counts_what_is_in_work_and_what_is_connected(door: OpenDoor) -> None:
    """ARCHITECTURE.md: autoscaled by its own load figure."""
    door.engine.hold = asyncio.Event()
    tasks = [
        asyncio.create_task(door.client.post(f"{SESSIONS}/start", json=start_body(GAME), headers=bearer()))
        for _ in range(3)
    ]
    await until(lambda: len(door.engine.calls) == 3)
    assert door.door.load()["in_flight"] == 3
    assert door.door.load()["connections"] == 3
    door.engine.hold.set()
    await asyncio.gather(*tasks)
    assert door.door.load()["in_flight"] == 0
    await until(lambda: door.door.load()["requests_per_s"] > 0)


async def test_requests_are_counted_by_route_and_status(door: OpenDoor) -> None:
    """R-OBS-1, section 11.2; ids in paths make no series of their own."""
    session = await door.start_session()
    for path in (f"{SESSIONS}/{session}/heartbeat", f"{SESSIONS}/nobody/heartbeat"):
        await door.client.post(path, headers=bearer())
    await door.client.get("/nope/1")
    await door.client.get("/nope/2")
    page = (await door.client.get("/metrics")).text
    route = 'method="POST",process="door",route="/api/v1/library/playtime/sessions/{session_id}/heartbeat"'
    assert f'library_http_requests_total{{{route},status="204"}} 1.0' in page
    assert f'library_http_requests_total{{{route},status="404"}} 1.0' in page
    assert f"library_http_request_duration_seconds_count{{{route}}} 2.0" in page
    assert 'library_http_requests_total{method="-",process="door",route="unmatched",status="404"} 2.0' in page
    assert session not in page


async def test_no_answer_shares_its_headers_with_another(door: OpenDoor) -> None:
    """ARCHITECTURE.md, traps: a server may append to the list."""
    session = await door.start_session()
    lengths = set()
    for _ in range(3):
        answer = await door.client.post(f"{SESSIONS}/{session}/heartbeat", headers=bearer())
        lengths.add(len(answer.headers.raw))
    assert len(lengths) == 1
