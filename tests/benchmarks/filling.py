"""Live sessions for everybody, by the way every purchase and start takes: commands over a link, through the journal.

Faster than 100,000 HTTP requests, and nothing is written behind the service's back.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable

from actors.domain.commands import AddPurchase, StartSession
from actors.domain.ids import SECOND, CommandId, Micros, SessionId, UserId
from actors.domain.replies import Done, Overloaded, Reply, SessionIsLive, Unavailable
from actors.router import Router, RouterLimits
from cluster.settings import Settings
from cluster.wiring import values
from persistence.postgres.cluster_map import PostgresClusterMapReader
from persistence.postgres.pool import ConnectionPool
from tests.benchmarks.crowd import GAMES, Crowd
from tests.benchmarks.failure import BenchmarkFailed

IN_FLIGHT = 1_000
CALL_TIMEOUT_S = 20.0
ATTEMPTS = 20
PURCHASED_AT = Micros(1_710_496_500 * SECOND)

Progress = Callable[[int], None]


async def fill(settings: Settings, crowd: Crowd, progress: Progress) -> list[SessionId]:
    """The session of each user, in their order; both games bought, the first one being played."""
    pool = await ConnectionPool.open(
        dsn=values.dsn(settings), application_name="library-bench", timeouts=values.timeouts(settings)
    )
    router = Router(
        reader=PostgresClusterMapReader(pool),
        credentials=values.credentials(settings),
        role="ingress",
        limits=RouterLimits(),
    )
    router.start()
    sessions: dict[UserId, SessionId] = {}
    waiting = iter(crowd.users)

    async def play() -> None:
        for user_id in waiting:
            sessions[user_id] = await _settle_in(router, crowd, user_id)
            if len(sessions) % 1_000 == 0:
                progress(len(sessions))

    try:
        async with asyncio.TaskGroup() as players:
            for _ in range(IN_FLIGHT):
                players.create_task(play())
    except* BenchmarkFailed as failed:
        raise failed.exceptions[0] from None
    finally:
        await router.close()
        await pool.close()
    return [sessions[user_id] for user_id in crowd.users]


async def _settle_in(router: Router, crowd: Crowd, user_id: UserId) -> SessionId:
    purchase = AddPurchase(crowd.order_of(user_id), GAMES, PURCHASED_AT)
    bought = await _insist(lambda: router.call(user_id, purchase, timeout_s=CALL_TIMEOUT_S))
    if type(bought) is not Done:
        raise BenchmarkFailed(f"a purchase was answered {bought!r}")
    command_id = CommandId(os.urandom(16))
    start = StartSession(GAMES[0], "bench", "pc")
    started = await _insist(lambda: router.call(user_id, start, timeout_s=CALL_TIMEOUT_S, command_id=command_id))
    if type(started) is not SessionIsLive:
        raise BenchmarkFailed(f"a start was answered {started!r}")
    return started.session.session_id


async def _insist(call: Callable[[], Awaitable[Reply]]) -> Reply:
    for attempt in range(ATTEMPTS):
        reply = await call()
        if type(reply) not in (Overloaded, Unavailable):
            return reply
        await asyncio.sleep(0.05 * (attempt + 1))
    raise BenchmarkFailed(f"a command was answered {reply!r}, {ATTEMPTS} times")
