"""A copy's own time: what is on its way to the journal when a flush begins is not claimed to be in it (R-DB-2)."""

import asyncio
import json
import logging
from random import Random
from unittest.mock import patch
from uuid import UUID

import pytest

from actors.commit_loop import CommitLoop
from actors.copies.values import LibraryCopy
from actors.domain.commands import EndSession, ListItems, StartSession
from actors.domain.ids import Micros, ProductId, UserId, format_id
from actors.domain.model import LiveSession
from actors.domain.replies import SessionIsLive, SessionIsOver
from actors.ingress.payloads import PURCHASED
from tests.memory.store_faults import Fate, Operation
from tests.simulation.world import TOPICS, Request, World
from tests.support.virtual_time import in_virtual_time

USER, GAME = UserId(UUID(int=5).bytes), ProductId(UUID(int=6).bytes)
COMMIT_S = 0.7
PLAYS = 12


async def slow_commits(operation: Operation) -> Fate:
    await asyncio.sleep(COMMIT_S if operation.kind == "append" else 0.001)
    return Fate.PROCEED


async def play() -> tuple[list[LiveSession], list[LibraryCopy]]:
    """Plays again and again while every commit is slow: the acknowledged starts, and the copies that were written."""
    world = World(Random(3))
    world.late_copies = 0.0
    copies: list[LibraryCopy] = []
    write = world.copies.write

    async def recorded(libraries: list[LibraryCopy], sessions: object) -> None:
        copies.extend(libraries)
        await write(libraries, sessions)  # type: ignore[arg-type]

    world.copies.write = recorded  # type: ignore[method-assign, assignment]
    world.database.faults.hook = slow_commits
    world.start()
    purchase = {
        "user_id": format_id(USER),
        "order_id": format_id(GAME),
        "items": [{"product_id": format_id(GAME)}],
        "purchase_timestamp": "2024-03-15T09:55:00Z",
    }
    world.kafka.append(TOPICS[PURCHASED], USER, json.dumps(purchase).encode())
    starts: list[LiveSession] = []
    while len(starts) < PLAYS:
        await ask(world, ListItems())
        if isinstance(live := await ask(world, StartSession(GAME)), SessionIsLive):
            starts.append(live.session)
            assert isinstance(await ask(world, EndSession(live.session.session_id)), SessionIsOver)
    await asyncio.sleep(5.0)
    return starts, copies


async def ask(world: World, command: object) -> object:
    return await world.ask("door-0", Request(user_id=USER, command=command, timeout_s=5.0))  # type: ignore[arg-type]


def lies(starts: list[LiveSession], copies: list[LibraryCopy]) -> int:
    """Copies that lack a start from before their own time."""
    return sum(
        start.started_at < copy.flushed_at and (copy.library.items[GAME].last_played_at or Micros(0)) < start.started_at
        for copy in copies
        for start in starts
    )


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.disable(logging.CRITICAL)


def test_a_copy_does_not_claim_what_is_on_its_way() -> None:
    async def body() -> None:
        starts, copies = await play()
        assert len(copies) >= PLAYS / 2
        assert lies(starts, copies) == 0

    in_virtual_time(body)


def test_this_test_notices_a_copy_that_does() -> None:
    async def body() -> None:
        with patch.object(CommitLoop, "acknowledged_until", lambda _self, now: now):
            assert lies(*await play()) > 0

    in_virtual_time(body)
