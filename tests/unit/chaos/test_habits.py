"""What the users of `library chaos` do beside playing, against a real door with the real rules behind it: a good
service is not blamed, and one that forgets what it has acknowledged is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from actors.domain.ids import SECOND, Micros, SessionId, parse_id
from cluster.chaos.batch_bodies import Counted
from cluster.chaos.caller import Caller
from cluster.chaos.calls import Calls
from cluster.chaos.curator import Curator
from cluster.chaos.game_server import GameServer
from cluster.chaos.looks import Looks
from cluster.chaos.luggage import Luggage
from cluster.chaos.pace import Pace
from cluster.chaos.user import Around, User
from cluster.replay.service import http_session
from cluster.verdict.history import Told
from tests.support.door import GAME, OTHER_GAME, OTHER_USER, USER, OpenDoor, open_door, token

PACE = Pace(rate=1.0, timeout_s=300.0, repeated_share=0.3)


@pytest_asyncio.fixture
async def door(tmp_path: Path) -> AsyncIterator[OpenDoor]:
    async with open_door(tmp_path) as opened:
        yield opened


@pytest_asyncio.fixture
async def around(door: OpenDoor, tmp_path: Path) -> AsyncIterator[Around]:
    async with http_session(connections=0) as http:
        with Calls(tmp_path / "history.jsonl") as calls:
            yield Around(
                caller=Caller(http=http, base_url=f"http://127.0.0.1:{door.port}", calls=calls, random=Random(1)),
                shop=None,  # type: ignore[arg-type]  # nobody trades here
                platform=None,  # type: ignore[arg-type]
                calls=calls,
                pace=PACE,
                stop=asyncio.Event(),
            )


@pytest.fixture
def user(around: Around) -> User:
    made = User("user 0", USER, token=token(), around=around, random=Random(7))
    made.history.products += [GAME, OTHER_GAME]
    for product in made.history.products:
        made.history.shelf.will_own(product, True)
    return made


async def played(door: OpenDoor, user: User, seconds: float) -> Told:
    session = await door.start_session(device_id="deck")
    door.engine.pass_time(seconds)
    user.history.starts += 1
    answer = await user.ask("end", "POST", f"/playtime/sessions/{session}/end")
    assert answer.status == 200
    (ended,) = door.engine.users[USER].ended.values()
    return user.history.started(
        session_id=SessionId(parse_id(session)), product_id=GAME, device_id="deck", started_at=ended.started_at
    )


async def test_a_library_is_kept_in_order_and_every_look_shows_it(user: User) -> None:
    """R-LIB-2, R-LIB-3, promise 2: some requests are made twice under their key."""
    looks, curator = Looks(user), Curator(user)
    for _ in range(40):
        await looks.items()
        await curator.act()
        await looks.categories()
    assert user.history.violations == []
    shelf = user.history.shelf
    assert shelf.changes
    assert shelf.categories_wanted > 2
    assert shelf.gone


async def test_a_change_that_is_forgotten_is_noticed_at_the_next_look(door: OpenDoor, user: User) -> None:
    looks, curator = Looks(user), Curator(user)
    await looks.items()
    before = door.engine.users[USER]
    while not user.history.shelf.changes:
        await curator.act()
    door.engine.users[USER] = before
    await looks.items()
    await looks.categories()
    assert any("acknowledged change" in one or "categories" in one for one in user.history.violations)


async def test_offline_play_is_brought_again_and_again_and_counts_once(door: OpenDoor, user: User) -> None:
    """R-PT-6: whatever overlaps."""
    told = await played(door, user, 200)
    door.engine.pass_time(100)
    luggage = Luggage(user)
    for _ in range(20):
        await luggage.bring(told, door.engine.now)
    await Looks(user).items()
    assert user.history.violations == []
    alone_s = (door.engine.now - told.started_at) // SECOND - 200
    assert 0 < sum(taken.credited_s for taken in user.history.brought.values()) <= alone_s
    assert len(user.history.brought) == user.history.offline_wanted


async def test_offline_play_that_is_forgotten_is_noticed_at_the_next_look(door: OpenDoor, user: User) -> None:
    told = await played(door, user, 60)
    door.engine.pass_time(600)
    before = door.engine.users[USER]
    while not any(taken.credited_s for taken in user.history.brought.values()):
        await Luggage(user).bring(told, Micros(told.started_at + 600 * SECOND))
    door.engine.users[USER] = before
    await Looks(user).items()
    assert any("less play than was acknowledged" in one for one in user.history.violations)


async def test_a_game_server_beats_for_all_in_one_call(door: OpenDoor, around: Around) -> None:
    """R-PT-7: each beat has its own answer."""
    door.engine.buy(OTHER_USER, GAME)
    sessions = {user_id: await door.start_session(user=user_id) for user_id in (USER, OTHER_USER)}
    door.engine.pass_time(60)
    server = GameServer(
        User("game server 0", USER, token=token(roles=["game_server"]), around=around, random=Random(3))
    )
    asked = [
        server.beat("user", user_id, SessionId(parse_id(session)), Random(1)) for user_id, session in sessions.items()
    ]
    *counted, absent = await asyncio.gather(*asked, server.beat("user", USER, SessionId(b"?" * 16), Random(1)))
    assert absent == "SESSION_NOT_FOUND"
    assert [one.accepted_at for one in counted if isinstance(one, Counted)] == [door.engine.now] * 2
    assert around.calls.total.answered["beats"] <= 2
    await server.close()
