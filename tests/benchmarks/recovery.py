"""Every host killed at once, with everybody playing: how long until all is as it was."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from actors.domain.ids import SHARD_COUNT, SessionId, UserId, format_id, shard_of
from tests.benchmarks import cpu
from tests.benchmarks.crowd import SESSIONS_PATH, Crowd
from tests.benchmarks.failure import BenchmarkFailed
from tests.benchmarks.ours import OurService

TIMEOUT_S = 120.0
RETRY_S = 0.02
CONNECTIONS = 100


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """Seconds since the kill: until the seeded users, some of every shard, were answered; until the hosts counted all
    live sessions. ``host_bytes`` is the RSS of all hosts after it."""

    answered_s: float
    counted_s: float
    host_bytes: int

    @property
    def seconds(self) -> float:
        return max(self.answered_s, self.counted_s)


def recover(ours: OurService, crowd: Crowd, sessions: Sequence[SessionId], seeded: int) -> Recovery:
    """Kills and waits. ``BenchmarkFailed`` if the count of live sessions is not what it was."""
    expected = ours.live_sessions()
    former = set(ours.host_pids())
    chosen = choose_seeded(crowd.users, seeded)
    for pid in former:
        os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    asyncio.run(_until_answered(ours.url, [(crowd.tokens[n], sessions[n]) for n in chosen], killed + TIMEOUT_S))
    answered = time.monotonic()
    counted = 0
    while counted != expected:
        if time.monotonic() > killed + TIMEOUT_S:
            raise BenchmarkFailed(f"after the hosts were killed there are {counted} live sessions, not {expected}")
        counted = ours.live_sessions()
    done = time.monotonic()
    return Recovery(
        answered_s=answered - killed,
        counted_s=done - killed,
        host_bytes=sum(cpu.resident_bytes(pid) for pid in set(ours.host_pids()) - former),
    )


def choose_seeded(users: Sequence[UserId], count: int) -> list[int]:
    """Numbers of users, spread over the list, so many that every shard has one if that many users do."""
    step = max(1, len(users) // count)
    chosen = list(range(0, len(users), step))[:count]
    missing = set(range(SHARD_COUNT)) - {shard_of(users[number]) for number in chosen}
    for number, user_id in enumerate(users):
        if not missing:
            break
        if shard_of(user_id) in missing:
            missing.discard(shard_of(user_id))
            chosen.append(number)
    return chosen


async def _until_answered(url: str, seeded: Sequence[tuple[str, SessionId]], give_up: float) -> None:
    gate = asyncio.Semaphore(CONNECTIONS)
    try:
        async with aiohttp.ClientSession(url) as client, asyncio.TaskGroup() as users:
            for token, session_id in seeded:
                users.create_task(_until_beaten(client, gate, token, session_id, give_up))
    except* BenchmarkFailed as failed:
        raise failed.exceptions[0] from None


async def _until_beaten(
    client: aiohttp.ClientSession, gate: asyncio.Semaphore, token: str, session_id: SessionId, give_up: float
) -> None:
    path = f"{SESSIONS_PATH}/{format_id(session_id)}/heartbeat"
    async with gate:
        while True:
            async with client.post(path, headers={"Authorization": f"Bearer {token}"}) as answer:
                if answer.status == 204:
                    return
                if answer.status != 503 or time.monotonic() > give_up:
                    raise BenchmarkFailed(f"after the hosts were killed a heartbeat was answered {answer.status}")
            await asyncio.sleep(RETRY_S)
