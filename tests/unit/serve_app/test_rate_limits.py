"""What one user may ask of a door, and that heartbeats in time are never refused (R-SEC-4)."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.ids import UserId
from serve_app.errors import ApiError
from serve_app.rate_limits import Bucket, RateLimits
from serve_app.settings import RateSettings
from tests.support.door import BASE, OTHER_USER, SESSIONS, USER, OpenDoor, bearer, code_of, open_door, start_body

SLOW = RateSettings(
    reads_per_s=0.01, reads_burst=3, writes_per_s=0.01, writes_burst=2, beats_per_s=0.01, beats_burst=4, beat_gap_s=100
)


@given(
    per_s=st.sampled_from([0.5, 1, 10]),
    burst=st.integers(1, 20),
    gaps=st.lists(st.sampled_from([0.0, 0.001, 0.1, 1.0, 30.0]), max_size=200),
)
def test_a_bucket_gives_what_it_says(per_s: float, burst: int, gaps: list[float]) -> None:
    """Compared with a bucket that is counted out; a refusal says when to come back, and then there is a token."""
    bucket, tokens, now = Bucket(per_s=per_s, burst=burst, users=10), float(burst), 1000.0
    for gap in gaps:
        now += gap
        tokens = min(burst, tokens + gap * per_s)
        wait_s = bucket.take(USER, now)
        if not wait_s:
            assert tokens > 1 - 1e-4
            tokens -= 1
        else:
            assert tokens < 1
            assert wait_s == pytest.approx((1 - tokens) / per_s, abs=1e-4)


def test_the_maps_are_bounded_and_forget_in_favour_of_the_user() -> None:
    """Promise 6."""
    bucket = Bucket(per_s=1, burst=1, users=100)
    for number in range(10_000):
        assert bucket.take(UserId(number.to_bytes(16, "big")), 1.0) == 0
    assert len(bucket) <= 200
    assert bucket.take(UserId((9_999).to_bytes(16, "big")), 1.0) > 0
    assert bucket.take(UserId(bytes(16)), 1.0) == 0


def test_heartbeats_in_time_pass_whatever_another_session_does() -> None:
    """R-SEC-4, R-PT-8: one session of the user beats a thousand times a second, four beat as often as counts."""
    settings, clock = RateSettings(), [0.0]
    limits = RateLimits(settings, lambda: clock[0])
    wild, calm = b"wild", [b"calm-%d" % number for number in range(4)]
    passed = 0
    for step in range(60_000):
        clock[0] = 1000 + step / 1000
        passed += limits.admits_beat(USER, wild)
        if step % 6_000 == 0:
            assert all(limits.admits_beat(USER, session) for session in calm), step
    assert passed < settings.beats_burst + 60 * settings.beats_per_s + 11


def test_invented_sessions_buy_nothing_and_cost_nobody_else() -> None:
    settings = RateSettings(hasty_users=10)
    limits = RateLimits(settings, lambda: 1000.0)
    passed = sum(limits.admits_beat(USER, b"%d" % number) for number in range(10_000))
    assert passed <= settings.beats_burst + settings.sessions_per_user
    for number in range(100):
        user = UserId(number.to_bytes(16, "big"))
        assert limits.admits_beat(user, b"session")
        for _ in range(60):
            limits.admits_beat(user, b"session")
    assert len(limits._hasty) <= settings.hasty_users


def test_without_settings_nobody_is_limited() -> None:
    limits = RateLimits(None, lambda: 0.0)
    for _ in range(1_000):
        limits.check(USER, "read")
        limits.check_beat(USER, b"session")


@pytest.fixture
async def slow(run_dir: Path) -> AsyncIterator[OpenDoor]:
    async with open_door(run_dir, rates=SLOW) as opened:
        yield opened


async def test_a_user_who_asks_too_fast_is_told_when_to_come_back(slow: OpenDoor) -> None:
    """R-SEC-4, R-ERR-1: 429 with ``Retry-After``; reads, writes and heartbeats apart, users apart."""

    session = await slow.start_session()

    async def ask(method: str, path: str, times: int) -> list[int]:
        answers = [await slow.client.request(method, path, headers=bearer(), json=start_body()) for _ in range(times)]
        for answer in answers:
            if answer.status_code == 429:
                assert code_of(answer) == "RATE_LIMITED"
                assert 1 <= int(answer.headers["retry-after"]) <= 100
        return [answer.status_code for answer in answers]

    assert await ask("POST", f"{SESSIONS}/start", 2) == [200, 429]
    assert await ask("GET", f"{BASE}/items", 4) == [200, 200, 200, 429]
    beat = f"{SESSIONS}/{session}/heartbeat"
    statuses = [(await slow.client.post(beat, headers=bearer())).status_code for _ in range(6)]
    assert statuses == [204] * 5 + [429], "four, and the one of a session that has waited"
    calls = len(slow.engine.calls)
    assert (await slow.client.post(beat, headers=bearer())).status_code == 429
    assert (await slow.rest_client.post(beat, headers=bearer())).status_code == 429, "by the documented route too"
    assert len(slow.engine.calls) == calls
    assert (await slow.client.get(f"{BASE}/items", headers=bearer(OTHER_USER))).status_code == 200


async def test_neither_repeats_nor_a_refused_call_cost_beats(run_dir: Path) -> None:
    """R-SEC-4, R-PT-7: what beats once takes one token, and a call whose key is another request's takes none."""
    two_beats = RateSettings(beats_per_s=0.01, beats_burst=2, beat_gap_s=100)
    async with open_door(run_dir, rates=two_beats) as door:
        mine = {"type": "playtimeHeartbeat", "id": await door.start_session()}

        async def ask(mentions: int, key: str) -> httpx.Response:
            headers = {**bearer(), "idempotency-key": key}
            return await door.client.post(
                f"{BASE}/playtime/heartbeats", json={"data": [mine] * mentions}, headers=headers
            )

        first = await ask(6, "one")
        refused = [(await ask(1, "one")).status_code for _ in range(3)]
        second = await ask(1, "two")
    assert all("attributes" in one for one in first.json()["data"]), first.text
    assert refused == [422, 422, 422]
    assert "attributes" in second.json()["data"][0], second.text


def test_the_error_says_for_how_long() -> None:
    limits = RateLimits(RateSettings(reads_per_s=0.1, reads_burst=1), lambda: 1000.0)
    limits.check(USER, "read")
    with pytest.raises(ApiError) as caught:
        limits.check(USER, "read")
    assert caught.value.retry_after_s == 10
