"""One seed, from beginning to end: players play while things go wrong, everything heals, and the checker judges."""

import asyncio
import logging
from random import Random

from msgspec import Struct

from actors.domain.commands import Settle
from actors.domain.model import LiveSession
from actors.domain.replies import Done
from cluster.verdict.checker import violations
from tests.simulation.clients import Player
from tests.simulation.evidence import found_in
from tests.simulation.faults import Trouble
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Network
from tests.simulation.world import DOOR_NAMES, TOPICS, Request, World

PLAYERS = 3
TROUBLE_S = 6.0
REST_TIMEOUT_S = 60.0


class Verdict(Struct, frozen=True, kw_only=True):
    """What became of a seed. ``trace`` says what was done to the system, for a seed that failed."""

    seed: int
    violations: list[str]
    trace: list[str]
    sessions: int
    answers: int
    silences: int
    copies: int
    virtual_s: float


def simulate(seed: int, *, trouble_s: float = TROUBLE_S) -> Verdict:
    """Runs a seed in virtual time; the same seed gives the same verdict."""
    logging.disable(logging.CRITICAL)
    random = Random(seed)
    network = Network(Random(random.random()))
    loop = VirtualLoop(network)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_simulate(seed, random, loop, trouble_s))
    finally:
        loop.abandon()
        asyncio.set_event_loop(None)
        logging.disable(logging.NOTSET)


async def _simulate(seed: int, random: Random, loop: VirtualLoop, trouble_s: float) -> Verdict:
    world = World(Random(random.random()))
    world.start()
    trouble = Trouble(world, loop.network, Random(random.random()))
    players = [Player(world, number, Random(random.random())) for number in range(PLAYERS)]
    lives = [loop.create_task(player.live()) for player in players]
    wrong: list[str] = []
    try:
        await trouble.run(trouble_s)
        world.healthy = True
        world.database.start()
        for player in players:
            player.stop.set()
        async with asyncio.timeout(REST_TIMEOUT_S):
            await asyncio.gather(*lives)
            await _come_to_rest(world, players)
            for player in players:
                stored = world.database.tables.items
                own = {key: item for key, (user_id, item) in stored.items() if user_id == player.user_id}
                await player.curator.judge(own)
    except TimeoutError:
        wrong.append("the system did not come to rest")
    wrong += [f"unhandled: {failure.get('message')}: {failure.get('exception')!r}" for failure in loop.failures]
    histories = [player.history for player in players]
    wrong += violations(histories, found_in(world.database.tables, world.kafka))
    return Verdict(
        seed=seed,
        violations=wrong,
        trace=trouble.log,
        sessions=sum(len(history.sessions) for history in histories),
        answers=sum(player.answers for player in players),
        copies=sum(player.copies for player in players),
        silences=sum(player.silences for player in players),
        virtual_s=loop.time(),
    )


async def _settle(world: World, players: list[Player]) -> None:
    """The tables show all that happened to the players."""
    for player in players:
        while True:
            door = world.random.choice(DOOR_NAMES)
            if isinstance(await world.ask(door, Request(user_id=player.user_id, command=Settle())), Done):
                break
            await asyncio.sleep(0.2)


async def _come_to_rest(world: World, players: list[Player]) -> None:
    """Sessions that were left time out, everything is flushed and published."""
    tables = world.database.tables
    await _settle(world, players)
    while any(isinstance(session, LiveSession) for _, session in tables.sessions.values()):
        await asyncio.sleep(1)
        await _settle(world, players)
    while (  # noqa: ASYNC110 - it is another one's state, and time is virtual
        tables.outbox or any(tables.journal.values()) or world.kafka.unread("library", list(TOPICS.values()))
    ):
        await asyncio.sleep(0.2)
