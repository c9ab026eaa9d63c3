"""The contract of the copies: the highest version stays, whatever comes late, twice or from a dead host (R-DB-2)."""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from msgspec.structs import replace

from actors.copies.ports import CopiesUnavailable, CopyReader, CopyWriter
from actors.copies.values import LibraryCopy, SessionCopy, Version
from actors.domain.ids import SECOND, ItemId, Micros, ProductId, Seq, SessionId, Term, UserId, format_id
from actors.domain.model import Library, LibraryItem, LiveSession
from cluster.development import NO_SERVERS
from cluster.settings import load_settings
from cluster.wiring.neighbours import redis_settings
from persistence.redis.connection import RedisAway, RedisCalls
from persistence.redis.copies import RedisCopies
from tests.memory.copies import MemoryCopies

USER = UserId(uuid4().bytes)
GAME, OTHER_GAME = ProductId(uuid4().bytes), ProductId(uuid4().bytes)
T0 = Micros(1_710_000_000 * SECOND)


class World(ABC):
    writer: CopyWriter
    reader: CopyReader

    @abstractmethod
    async def session_id(self, user_id: UserId, product_id: ProductId) -> SessionId | None:
        """What a reader of the specification finds."""

    @abstractmethod
    def stop(self) -> None:
        """It does not answer from now on."""


class MemoryWorld(World):
    def __init__(self) -> None:
        self.writer = self.reader = self._copies = MemoryCopies()

    async def session_id(self, user_id: UserId, product_id: ProductId) -> SessionId | None:
        found = self._copies.sessions.get((user_id, product_id))
        return None if found is None or found.session is None else found.session.session_id

    def stop(self) -> None:
        self._copies.down = True


class RedisWorld(World):
    def __init__(self, variables: dict[str, str]) -> None:
        settings = redis_settings(load_settings({"LIBRARY_ENVIRONMENT": "development", **NO_SERVERS, **variables}))
        assert settings is not None
        self.calls = RedisCalls(settings.open())
        self.writer = self.reader = RedisCopies(self.calls)

    async def session_id(self, user_id: UserId, product_id: ProductId) -> SessionId | None:
        found = await self.calls.client.hget(
            f"playtime_session:{format_id(user_id)}:{format_id(product_id)}", "session_id"
        )
        return None if found is None else SessionId(bytes.fromhex(found.decode().replace("-", "")))

    def stop(self) -> None:
        self.calls.run = _away  # type: ignore[method-assign, assignment]


async def _away(*_: object) -> None:
    raise RedisAway


@pytest.fixture(params=["memory", "redis"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
    else:
        made = RedisWorld(request.getfixturevalue("redis_variables"))
        yield made
        await made.calls.close()


def item(product_id: ProductId = GAME, played_s: int = 0) -> LibraryItem:
    return LibraryItem(ItemId(product_id[::-1]), product_id, T0, "purchase", "installed", T0, Micros(T0 + 1), played_s)


def copy(term: int, seq: int, *items: LibraryItem, at: int = 0) -> LibraryCopy:
    library = Library(items={one.product_id: one for one in items})
    return LibraryCopy(user_id=USER, version=Version(Term(term), Seq(seq)), flushed_at=Micros(T0 + at), library=library)


def session(term: int, seq: int, live: LiveSession | None) -> SessionCopy:
    return SessionCopy(user_id=USER, product_id=GAME, version=Version(Term(term), Seq(seq)), session=live)


async def test_a_library_comes_back_as_it_was(world: World) -> None:
    assert await world.reader.read_library(USER) is None
    written = copy(1, 7, item(), item(OTHER_GAME, 77), at=5)
    await world.writer.write([written], [])
    assert await world.reader.read_library(USER) == written
    assert await world.reader.read_library(UserId(uuid4().bytes)) is None


@pytest.mark.parametrize(
    ("first", "then"),
    [((1, 8), (1, 7)), ((2, 1), (1, 900)), ((1, 10), (1, 9)), ((10, 1), (9, 1)), ((1, 2**40), (1, 2**39))],
)
async def test_a_lower_version_replaces_nothing(world: World, first: tuple[int, int], then: tuple[int, int]) -> None:
    """A term is more than any sequence: after a move the new owner's counts."""
    higher, lower = copy(*first, item(played_s=2)), copy(*then, item(played_s=1))
    await world.writer.write([higher], [])
    await world.writer.write([lower], [])
    assert await world.reader.read_library(USER) == higher
    await world.writer.write([replace(higher, flushed_at=Micros(T0 + 60))], [])
    found = await world.reader.read_library(USER)
    assert found is not None
    assert found.flushed_at == T0 + 60


async def test_a_session_that_ended_is_not_brought_back_by_what_came_late(world: World) -> None:
    live = LiveSession(SessionId(uuid4().bytes), GAME, T0, T0, 60)
    later = replace(live, session_id=SessionId(uuid4().bytes))
    await world.writer.write([], [session(1, 1, live)])
    assert await world.session_id(USER, GAME) == live.session_id
    await world.writer.write([], [session(1, 3, None)])
    assert await world.session_id(USER, GAME) is None
    await world.writer.write([], [session(1, 2, live)])
    assert await world.session_id(USER, GAME) is None
    await world.writer.write([], [session(1, 4, later)])
    assert await world.session_id(USER, GAME) == later.session_id


async def test_what_does_not_answer_is_unavailable(world: World) -> None:
    world.stop()
    with pytest.raises(CopiesUnavailable):
        await world.writer.write([copy(1, 1)], [])
    with pytest.raises(CopiesUnavailable):
        await world.reader.read_library(USER)


async def test_the_keys_and_fields_are_the_specifications(redis_variables: dict[str, str]) -> None:
    """R-DB-2: a reader of section 4.2.2 finds them, with a time to live in minutes and hours."""
    world = RedisWorld(redis_variables)
    redis = world.calls.client
    live = LiveSession(SessionId(GAME), GAME, T0, Micros(T0 + 30 * SECOND), 60)
    await world.writer.write([copy(1, 1, item())], [session(1, 1, live)])
    key = f"library:{format_id(USER)}:items"
    (found,) = json.loads(await redis.hget(key, "items"))["items"]
    assert found["product_id"] == format_id(GAME)
    assert found["installation_status"] == "installed"
    assert 60_000 < await redis.pttl(key) <= 3_600_000
    key = f"playtime_session:{format_id(USER)}:{format_id(GAME)}"
    assert await redis.hmget(key, ["session_id", "start_time", "last_heartbeat_at"]) == [
        format_id(GAME).encode(),
        b"2024-03-09T16:00:00Z",
        b"2024-03-09T16:00:30Z",
    ]
    assert await redis.pttl(key) > 3_600_000
    await world.calls.close()
