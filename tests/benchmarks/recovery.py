"""Every host killed at once, with everybody playing: how long until all is as it was."""

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import aiohttp

from actors.domain.ids import SHARD_COUNT, SessionId, UserId, format_id, shard_of
from actors.telemetry import names
from tests.benchmarks import cpu
from tests.benchmarks.crowd import SESSIONS_PATH
from tests.benchmarks.failure import BenchmarkFailed
from tests.benchmarks.ours import OurService

TIMEOUT_S = 120.0
RETRY_S = 0.02
CONNECTIONS = 100
BEGUN_CHECK_S = 0.02

Seeded = Sequence[tuple[str, SessionId]]
"""Users that must be answered: their tokens and sessions."""


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """Seconds since the kill: until the seeded users, some of every shard, were answered; until the hosts serve every
    shard and count all live sessions.

    ``started_s``: until the last of the new processes had all modules and began to take over; ``phases``: seconds of
    each phase of the slowest host's takeover, as it tells itself. ``host_cpu_s``: CPU of all new processes, from their
    first instruction. ``former_bytes`` and ``host_bytes``: RSS of all hosts before and after.
    """

    answered_s: float
    counted_s: float
    started_s: float
    phases: Mapping[str, float]
    host_cpu_s: float
    former_bytes: int
    host_bytes: int

    @property
    def seconds(self) -> float:
        return max(self.answered_s, self.counted_s)


def recover(ours: OurService, seeded: Seeded) -> Recovery:
    """Kills and waits. ``BenchmarkFailed`` if the count of live sessions is not what it was."""
    expected = ours.live_sessions()
    former = set(ours.host_pids())
    former_bytes = sum(map(cpu.resident_bytes, former))
    for pid in former:
        os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    begun = asyncio.run(_until_answered(ours, former, seeded, killed + TIMEOUT_S))
    answered = time.monotonic()
    while not _as_before(ours, expected):
        if time.monotonic() > killed + TIMEOUT_S:
            counted = ours.live_sessions()
            raise BenchmarkFailed(f"after the hosts were killed there are {counted} live sessions, not {expected}")
        time.sleep(RETRY_S)
    done = time.monotonic()
    new = set(ours.host_pids()) - former
    spent = cpu.read(new)
    return Recovery(
        answered_s=answered - killed,
        counted_s=done - killed,
        started_s=begun - killed,
        phases=ours.slowest(names.HOST_RECOVERY_SECONDS, "phase"),
        host_cpu_s=sum(one.ticks for one in spent.values()) * cpu.TICK_S,
        former_bytes=former_bytes,
        host_bytes=sum(map(cpu.resident_bytes, new)),
    )


def _as_before(ours: OurService, expected: int) -> bool:
    return ours.live_sessions() == expected and ours.figure(names.HOST_SHARDS) == SHARD_COUNT


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


async def _until_answered(ours: OurService, former: Set[int], seeded: Seeded, give_up: float) -> float:
    """Returns once all are answered: when the last of the new hosts had begun."""
    gate = asyncio.Semaphore(CONNECTIONS)
    try:
        async with aiohttp.ClientSession(ours.url) as client, asyncio.TaskGroup() as tasks:
            begun = tasks.create_task(_until_begun(ours, former))
            for token, session_id in seeded:
                tasks.create_task(_until_beaten(client, gate, token, session_id, give_up))
    except* BenchmarkFailed as failed:
        raise failed.exceptions[0] from None
    return begun.result()


async def _until_begun(ours: OurService, former: Set[int]) -> float:
    """When there are as many new hosts as there were."""
    while len(set(ours.host_pids()) - former) < len(former):  # noqa: ASYNC110 - no event tells of another process
        await asyncio.sleep(BEGUN_CHECK_S)
    return time.monotonic()


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
