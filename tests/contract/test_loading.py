"""What is loaded: only what was asked for, and something for everyone asked for."""

import pytest

from actors.domain.ids import SECOND, HostId, Micros, ProductId, Seq, SessionId, ShardId, UserId, shard_of
from actors.domain.model import AppliedCommand, EndedSession, Library
from actors.domain.offline import MAX_COUNTED_SPANS
from actors.domain.spans import DAY_US
from actors.ports import StoreUnavailable
from tests.contract.rows import START, batch, command, ended, item, live, new_product, new_user, purchase
from tests.contract.world import World


async def flushed(world: World, **rows: object) -> None:
    store = world.store(HostId(0))
    await store.take_over("a:1")
    await store.append(Seq(1), b"body")
    await store.flush(batch(1, **rows))


async def test_live_sessions_are_those_of_the_shards_asked_for(world: World) -> None:
    """A host that takes a shard over loads all of that shard's live sessions, and no other's (R-PT-3)."""
    owners = [new_user() for _ in range(40)]
    sessions = [(user, live()) for user in owners]
    await flushed(world, sessions_live=sessions, sessions_ended=[(owners[0], ended())])
    shards = {shard_of(user) for user in owners[:20]}

    found = await world.loader.live_sessions(sorted(shards))
    assert dict(found) == {user: one for user, one in sessions if shard_of(user) in shards}
    assert len(found) == len(dict(found))
    assert await world.loader.live_sessions([]) == []
    inhabited = {shard_of(user) for user in owners}
    assert await world.loader.live_sessions([ShardId(n) for n in range(256) if n not in inhabited]) == []


async def test_a_live_session_is_loaded_as_it_was_written(world: World) -> None:
    """R-DB-1: every field, with the ends of its range."""
    sessions = [
        (new_user(), live()),
        (new_user(), live(device_id="", platform=None, too_fast=False, counted_elsewhere=())),
        (new_user(), live(device_id="д" * 300, platform="mobile", interval_s=2**31 - 1)),
        (new_user(), live(started_at=Micros(-1), last_heartbeat_at=Micros(946_684_800 * SECOND - 1), interval_s=0)),
        (new_user(), live(last_heartbeat_at=Micros(4_102_444_800 * SECOND + 999_999), platform="web")),
        (new_user(), live(counted_elsewhere=((Micros(5), Micros(7)), (Micros(9), Micros(1_800_000_000 * SECOND + 1))))),
    ]
    await flushed(world, sessions_live=sessions)
    found = await world.loader.live_sessions([ShardId(n) for n in range(256)])
    assert dict(found) == dict(sessions)


async def test_everyone_asked_for_has_a_library(world: World) -> None:
    """An empty one for who has nothing: to be loaded is not to own."""
    rich, other, stranger = new_user(), new_user(), new_user()
    mine, theirs, bought = item(), item(), purchase(rich)
    await flushed(world, items=[(rich, mine), (other, theirs)], purchases=[bought])

    libraries = await world.loader.libraries([rich, stranger])
    assert set(libraries) == {rich, stranger}
    assert libraries[rich].items == {mine.product_id: mine}
    assert [key.order_id for key in libraries[rich].acquisitions] == [bought.order_id]
    assert libraries[stranger] == Library()


async def test_commands_are_remembered_for_ten_minutes_of_real_time(world: World) -> None:
    """Promise 2: longer than any router tries again, and no longer."""
    user, stranger, now = new_user(), new_user(), await world.now()
    recent = command(Micros(now - 590 * SECOND))
    old = command(Micros(now - 601 * SECOND))
    older = command(Micros(now - 3 * 86_400 * SECOND))
    await flushed(world, commands=[(user, recent), (user, old), (user, older)])

    found = await world.loader.commands([user, stranger])
    assert found == {user: {recent.command_id: recent}, stranger: {}}


async def test_housekeeping_keeps_remembered_commands(world: World) -> None:
    """Partitions are made while rows of their day are there already, and dropped only when old."""
    user, now = new_user(), await world.now()
    recent = command(Micros(now - 5 * SECOND))
    older = command(Micros(now - 4 * 86_400 * SECOND))
    await flushed(world, commands=[(user, recent), (user, older)])

    for _ in range(2):
        await world.supervisor.keep_partitions()

    assert (await world.loader.commands([user]))[user] == {recent.command_id: recent}


async def test_a_clients_key_is_loaded_for_a_day_and_a_doors_id_for_ten_minutes(world: World) -> None:
    """Promise 2: each kind as long as it may come again."""
    user, now = new_user(), await world.now()

    def aged(minutes: int, request: bytes) -> AppliedCommand:
        return command(Micros(now - minutes * 60 * SECOND), request=request)

    kept = [aged(9, b""), aged(11, b"r"), aged(24 * 60 - 1, b"r")]
    gone = [aged(11, b""), aged(24 * 60 + 1, b"r")]
    await flushed(world, commands=[(user, one) for one in (*kept, *gone)])
    assert (await world.loader.commands([user]))[user] == {one.command_id: one for one in kept}
    await world.supervisor.keep_partitions()
    assert (await world.loader.commands([user]))[user] == {one.command_id: one for one in kept}


async def test_an_ended_session_is_found_by_its_owner_only(world: World) -> None:
    """R-SEC-2: anyone else's id cannot be told from an absent one."""
    user, stranger = new_user(), new_user()
    over, alive = ended(), live()
    await flushed(world, sessions_ended=[(user, over)], sessions_live=[(user, alive)])

    asked = [(user, over.session_id), (user, alive.session_id), (stranger, over.session_id)]
    assert await world.loader.ended_sessions(asked) == {over.session_id: over}
    assert await world.loader.ended_sessions(asked[1:]) == {}
    assert await world.loader.ended_sessions([]) == {}
    assert await world.loader.ended_sessions([(user, SessionId(bytes(16)))]) == {}


async def test_loading_without_a_server_can_be_tried_again(world: World) -> None:
    """``StoreUnavailable``, and nothing else."""
    user = UserId(bytes(16))
    await world.stop()
    for call in (
        world.loader.live_sessions([ShardId(0)]),
        world.loader.libraries([user]),
        world.loader.commands([user]),
        world.loader.ended_sessions([(user, SessionId(bytes(16)))]),
        world.loader.counted([(user, [1])]),
        world.map_reader.read_map(),
        world.supervisor.wanted_hosts(),
        world.clock.clock_origin(1.0),
    ):
        with pytest.raises(StoreUnavailable):
            await call


async def test_the_time_that_sessions_count_is_known_by_day_and_product(world: World) -> None:
    """R-PT-6: of the days asked for, for the user asked about; sessions that overlap are one piece, live and empty ones
    none, and what lies on other days is cut off."""
    user, stranger, (game, other) = new_user(), new_user(), (new_product(), new_product())
    day = START // DAY_US

    def played(product: ProductId, begin_s: float, end_s: float) -> EndedSession:
        begin, end = (Micros(day * DAY_US + int(at * SECOND)) for at in (begin_s, end_s))
        return ended(product_id=product, started_at=begin, ended_at=end, last_heartbeat_at=end)

    mine = [
        played(game, 100, 200.5),
        played(game, 150, 300),
        played(game, 300, 310),
        played(game, 500, 600),
        played(game, 700, 700),
        played(other, -50, 20),
        played(other, 86_400 - 10, 3 * 86_400 + 5),
        played(other, 9 * 86_400, 9 * 86_400 + 1),
    ]
    theirs = played(game, 0, 1000)
    alive = live(product_id=game, started_at=Micros(day * DAY_US))
    await flushed(
        world,
        sessions_ended=[*((user, one) for one in mine), (stranger, theirs)],
        sessions_live=[(user, alive)],
    )

    def at(*seconds: float) -> Micros:
        return Micros(day * DAY_US + int(seconds[0] * SECOND))

    today, both, later, nothing, of_stranger = await world.loader.counted([
        (user, [day]), (user, [day, day + 2]), (user, [day + 2, day + 3, day + 20]), (user, []), (stranger, [day])
    ])  # fmt: skip
    of_game = ((at(100), at(310)), (at(500), at(600)))
    assert today == {game: of_game, other: ((at(0), at(20)), (at(86_390), at(86_400)))}
    assert both == {
        game: of_game,
        other: ((at(0), at(20)), (at(86_390), at(86_400)), (at(2 * 86_400), at(3 * 86_400))),
    }
    assert later == {other: ((at(2 * 86_400), at(3 * 86_400 + 5)),)}
    assert nothing == {}
    assert of_stranger == {game: ((at(0), at(1000)),)}
    assert await world.loader.counted([]) == []


async def test_a_past_of_too_many_pieces_is_not_loaded(world: World) -> None:
    """Promises 6 and 7: what a user may make a host look at is bounded."""
    user, other, game = new_user(), new_user(), new_product()
    day = START // DAY_US
    begins = [Micros(day * DAY_US + 2 * n * SECOND) for n in range(MAX_COUNTED_SPANS + 1)]
    many = [
        ended(product_id=game, started_at=begin, ended_at=Micros(begin + SECOND), last_heartbeat_at=begin)
        for begin in begins
    ]
    await flushed(world, sessions_ended=[*((user, one) for one in many), (other, ended(product_id=game))])
    too_many, few = await world.loader.counted([(user, [day]), (other, [day])])
    assert too_many is None
    assert few is not None
    assert set(few) == {game}
