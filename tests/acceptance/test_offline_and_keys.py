"""The running service: real hours brought as offline sessions, many beats in one call, and keys across a restart.

`library replay --offline` is the client and the judge of the hours: it exits with 0 only if every total is the file's,
to the second, in the API, the tables and the sum of the sessions.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from cluster.demo import make_token
from cluster.dev import seeds
from tests.acceptance.conftest import KILL_CLOCK_RATE
from tests.support.running_service import HttpAnswer, RunningService

SAMPLE = Path(__file__).parents[1] / "data" / "play-hours-sample.csv"
ROWS = "400"
BASE = "/api/v1/library"
SESSIONS = f"{BASE}/playtime/sessions"
BACK_TIMEOUT_S = 90.0
COUNTS_TIMEOUT_S = 30.0


class Client:
    """One user, who names a key with each POST."""

    def __init__(self, service: RunningService) -> None:
        self.user_id = uuid4()
        self._service = service

    def post(self, path: str, key: str, body: Any = None) -> HttpAnswer:
        headers = {"Authorization": f"Bearer {self._service.token(self.user_id)}", "Idempotency-Key": f'"{key}"'}
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._service.url + path, data=data, method="POST", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return HttpAnswer(status=answer.status, headers=dict(answer.headers), body=answer.read())
        except urllib.error.HTTPError as error:
            return HttpAnswer(status=error.code, headers=dict(error.headers), body=error.read())


def test_hours_are_exact_twice_and_first_answers_are_kept(
    new_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    """R-PT-6, R-PT-7, promise 2: a host is killed while the hours come in, everything is stopped and started again, and
    what was answered is answered again; nothing is credited twice."""
    service = new_service(LIBRARY_CLOCK_RATE=KILL_CLOCK_RATE)
    service.start()
    first = service.begin("replay", str(SAMPLE), "--offline", "--limit-rows", ROWS)
    service.until(lambda: first.poll() is not None or offline_sessions(service) > 0, 60.0)
    former = service.kill("host-0")
    printed, _ = first.communicate(timeout=300)
    assert first.returncode == 0, printed
    service.until(lambda: service.is_back("host-0", former), BACK_TIMEOUT_S)

    client, product_id = Client(service), str(seeds.product_id(seeds.FREE[0]))
    creation = {"data": {"type": "libraryItemCreation", "attributes": {"product_id": product_id}}}
    assert client.post(f"{BASE}/items", "add", creation).status == 201
    start = {"data": {"type": "playtimeSessionStart", "attributes": {"product_id": product_id}}}
    started = client.post(f"{SESSIONS}/start", "start", start)
    assert started.status == 201, started.body
    session = started.json()["data"]

    def counts() -> bool:
        counted, absent = beat_many(service, (session["id"], client.user_id), (str(uuid4()), uuid4()))
        assert absent["error"]["code"] == "SESSION_NOT_FOUND"
        return bool(counted["attributes"]["accepted_at"] > session["attributes"]["start_time"])

    service.until(counts, COUNTS_TIMEOUT_S)  # what comes sooner than a tenth of the interval does not (R-PT-8)
    ended = client.post(f"{SESSIONS}/{session['id']}/end", "end")
    assert ended.status == 200, ended.body

    service.stop()
    service.start()
    again = client.post(f"{SESSIONS}/start", "start", start)
    assert (again.status, again.body) == (started.status, started.body)
    assert client.post(f"{SESSIONS}/{session['id']}/end", "end").body == ended.body
    assert client.post(f"{SESSIONS}/{session['id']}/end", "start").status == 422
    live = service.get(f"{SESSIONS}/active", service.token(client.user_id)).json()["data"]
    assert live == []
    second = service.command("replay", str(SAMPLE), "--offline", "--limit-rows", ROWS)
    assert second.returncode == 0, second.stdout


def beat_many(service: RunningService, *sessions: tuple[str, UUID]) -> list[Any]:
    """As a game server."""
    token = make_token(service.settings(), uuid4(), roles=["game_server"])
    data = [
        {"type": "playtimeHeartbeat", "id": session_id, "attributes": {"user_id": str(user_id)}}
        for session_id, user_id in sessions
    ]
    answer = service.request("POST", f"{BASE}/playtime/heartbeats", token, {"data": data})
    assert answer.status == 200, answer.body
    return list(answer.json()["data"])


def offline_sessions(service: RunningService) -> float:
    lines = service.get("/metrics").body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if "OfflinePlayed" in line)
