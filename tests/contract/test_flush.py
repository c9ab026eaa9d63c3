"""The flush: afterwards the tables equal all events up to its seq, or nothing changed (promises 2 and 3)."""

from collections.abc import Callable, Iterable
from uuid import uuid4

import pytest
from msgspec.structs import replace

from actors.domain.ids import SECOND, HostId, Micros, SessionId, ShardId, Term, UserId
from actors.domain.model import Anomaly, EndedSession, Library, LiveSession, PurchaseKey, RemovedItem
from actors.ports import CommitRefused, FlushBatch, ShardGift
from tests.contract.rows import (
    START,
    anomaly,
    batch,
    category,
    command,
    end_of,
    ended,
    item,
    live,
    new_product,
    new_user,
    outbox_row,
    purchase,
    removed,
)
from tests.contract.world import ME, World, owner

OTHER = HostId(1)
ALL_SHARDS = [ShardId(number) for number in range(256)]


async def test_every_field_of_every_row_comes_back_as_it_was(world: World) -> None:
    """DB-1: what is loaded is what was flushed, optional fields set and unset, microseconds and all."""
    user, now = new_user(), await world.now()
    items = [
        item(),
        item(install_event_at=None, last_played_at=None, last_ended_at=None, total_playtime_s=0, is_hidden=False),
        item(user_rating=None, category_ids=()),
        item(acquisition_type="free_to_play", installation_status="repair_needed"),
    ]
    lives = [live(), live(platform=None, device_id="", too_fast=False)]
    endeds = [ended(), ended(platform=None, device_id="", end_reason="timeout", duration_s=0)]
    purchases = [
        purchase(user),
        purchase(user, acquisition_type=None, refunded_at=Micros(START + 8)),
        purchase(user, acquisition_type="key_activation", refunded_at=START),
    ]
    gone = [removed(), removed(user_rating=None, category_ids=(), last_ended_at=None, install_event_at=None)]
    categories = [category(), category(name="а" * 100)]
    commands = [command(now), command(now, b"", b"\x00request")]
    anomalies = [anomaly(), anomaly(kind="live_session_limit", session_id=None)]
    outbox = [outbox_row(user, 1, 0), outbox_row(user, 1, 1), outbox_row(user, 2**40, 0)]

    store = await owner(world)
    await store.flush(
        batch(
            1,
            items=[(user, one) for one in items],
            sessions_live=[(user, one) for one in lives],
            sessions_ended=[(user, one) for one in endeds],
            removed=[(user, one) for one in gone],
            purchases=purchases,
            categories=[(user, one) for one in categories],
            commands=[(user, one) for one in commands],
            anomalies=[(user, one) for one in anomalies],
            outbox=outbox,
        )
    )

    library = (await world.loader.libraries([user]))[user]
    assert library.items == {one.product_id: one for one in items}
    assert library.acquisitions == {PurchaseKey(row.order_id, row.product_id): row.acquisition for row in purchases}
    assert library.removed == {one.item.product_id: one for one in gone}
    assert library.categories == {one.category_id: one for one in categories}
    assert dict(await by_session(world)) == {one.session_id: (user, one) for one in lives}
    found = await world.loader.ended_sessions([(user, one.session_id) for one in endeds])
    assert found == {one.session_id: one for one in endeds}
    assert (await world.loader.commands([user]))[user] == {one.command_id: one for one in commands}
    assert by_id(await world.anomalies()) == by_id((user, one) for one in anomalies)
    assert await world.outbox() == outbox


def by_id(anomalies: Iterable[tuple[UserId, Anomaly]]) -> dict[bytes, tuple[UserId, Anomaly]]:
    return {one.anomaly_id: (user, one) for user, one in anomalies}


async def by_session(world: World) -> list[tuple[SessionId, tuple[UserId, LiveSession]]]:
    return [(one.session_id, (user, one)) for user, one in await world.loader.live_sessions(ALL_SHARDS)]


async def test_a_later_image_replaces_the_earlier_one(world: World) -> None:
    """State upserts: one image a key, the newest."""
    user, first = new_user(), item()
    store = await owner(world, appended=2)
    await store.flush(batch(1, items=[(user, first)]))
    second = replace(
        first,
        installation_status="error",
        install_event_at=None,
        last_played_at=Micros(first.added_at + 9),
        total_playtime_s=3,
        is_hidden=False,
        acquisition_type="gift",
        added_at=Micros(first.added_at - 5),
    )
    await store.flush(batch(2, items=[(user, second)]))
    assert (await world.loader.libraries([user]))[user].items == {first.product_id: second}


async def test_a_product_is_taken_back_and_comes_again(world: World) -> None:
    """R-LIB-8: it is in one of two tables, whatever happened between two flushes."""
    user, first = new_user(), item()
    store = await owner(world, appended=5)
    await store.flush(batch(1, items=[(user, first)]))
    gone = RemovedItem(first, Micros(START + 20))
    await store.flush(batch(2, removed=[(user, gone)]))
    library = (await world.loader.libraries([user]))[user]
    assert (library.items, library.removed) == ({}, {first.product_id: gone})

    later = replace(gone, item=replace(first, total_playtime_s=9), removed_at=Micros(START + 21))
    await store.flush(batch(3, removed=[(user, later)]))
    assert (await world.loader.libraries([user]))[user].removed == {first.product_id: later}

    other = replace(later, item=item(product_id=first.product_id))
    await store.flush(batch(4, removed=[(user, other)]))
    assert (await world.loader.libraries([user]))[user].removed == {first.product_id: other}

    returned = [(user, first.product_id), (user, new_product())]
    await store.flush(batch(5, returned=returned, items=[(user, first)]))
    library = (await world.loader.libraries([user]))[user]
    assert (library.items, library.removed) == ({first.product_id: first}, {})


async def test_what_was_removed_before_any_flush_needs_no_row(world: World) -> None:
    """Added and taken back, made and deleted, within a second."""
    user, gone = new_user(), removed()
    store = await owner(world)
    await store.flush(batch(1, removed=[(user, gone)], categories_deleted=[(user, category().category_id)]))
    library = (await world.loader.libraries([user]))[user]
    assert library == Library(removed={gone.item.product_id: gone})


async def test_a_purchase_is_refunded_once_and_may_come_after_its_refund(world: World) -> None:
    """R-LIB-5: the two changes that a ground may see."""
    user = new_user()
    bought, refund_first = purchase(user), purchase(user, acquisition_type=None, refunded_at=START)
    store = await owner(world, appended=2)
    await store.flush(batch(1, purchases=[bought, refund_first]))
    refunded = replace(bought, acquisition=replace(bought.acquisition, refunded_at=START))
    late = replace(refund_first, acquisition=replace(refund_first.acquisition, acquisition_type="gift"))
    await store.flush(batch(2, purchases=[refunded, late]))
    acquisitions = (await world.loader.libraries([user]))[user].acquisitions
    assert sorted(acquisitions.values(), key=str) == sorted((refunded.acquisition, late.acquisition), key=str)
    assert not any(one.stands for one in acquisitions.values())


async def test_categories_may_swap_their_names_in_one_flush(world: World) -> None:
    """R-LIB-3: a name is unique at a commit boundary, whatever happened between two."""
    user = new_user()
    one, two, three = category(name="one"), category(name="two"), category(name="three")
    store = await owner(world, appended=2)
    await store.flush(batch(1, categories=[(user, kept) for kept in (one, two, three)]))
    swapped = [replace(one, name="two", updated_at=Micros(START + 7)), replace(two, name="three")]
    deleted = [(user, three.category_id), (new_user(), one.category_id)]
    await store.flush(batch(2, categories=[(user, kept) for kept in swapped], categories_deleted=deleted))
    assert (await world.loader.libraries([user]))[user].categories == {kept.category_id: kept for kept in swapped}


async def test_a_session_lives_beats_and_ends(world: World) -> None:
    """R-PT-4: whole rows for what is new or changed, heartbeats for what only beat; a beat that counts ends a flood of
    those that came too fast (R-PT-8)."""
    user, session = new_user(), live(too_fast=False)
    store = await owner(world, appended=4)
    await store.flush(batch(1, sessions_live=[(user, session)]))
    flooding = replace(session, too_fast=True, interval_s=90)
    await store.flush(batch(2, sessions_live=[(user, flooding)]))
    assert await by_session(world) == [(session.session_id, (user, flooding))]

    beat = Micros(session.started_at + 60 * SECOND + 1)
    await store.flush(batch(3, heartbeats=[(session.session_id, beat, 120)]))
    beaten = replace(session, last_heartbeat_at=beat, interval_s=120, too_fast=False)
    assert await by_session(world) == [(session.session_id, (user, beaten))]

    over = end_of(beaten, 61)
    await store.flush(batch(4, sessions_ended=[(user, over)]))
    assert await by_session(world) == []
    assert await world.loader.ended_sessions([(user, over.session_id)]) == {over.session_id: over}


async def test_a_flush_larger_than_one_statement_is_written_whole(world: World) -> None:
    """Rows are sent a bounded number at a time, in one transaction."""
    users = [new_user() for _ in range(4500)]
    sessions = [live(device_id="", too_fast=False) for _ in users]
    store = await owner(world, appended=2)
    await store.flush(batch(1, sessions_live=list(zip(users, sessions, strict=True))))
    beats = [(one.session_id, Micros(one.last_heartbeat_at + n), 60) for n, one in enumerate(sessions)]
    await store.flush(batch(2, heartbeats=beats))

    found = {one.session_id: one.last_heartbeat_at for _, one in await world.loader.live_sessions(ALL_SHARDS)}
    assert found == {session_id: at for session_id, at, _ in beats}


USER = UserId(uuid4().bytes)
OLD_LIVE, OLD_ENDED, OLD_ITEM = live(), ended(), item()
OLD_CATEGORY = category(name="old")
REFUNDED = purchase(USER, refunded_at=START)
OLD_PURCHASE, OLD_ANOMALY, OLD_OUTBOX = purchase(USER), anomaly(), outbox_row(USER, 1)
NEW_PURCHASE = purchase(USER)
LIVE_ELSEWHERE = (new_user(), OLD_LIVE)

REFUSED: dict[str, Callable[[], FlushBatch]] = {
    "NUL in text": lambda: batch(2, sessions_live=[(USER, live(device_id="a\0b"))]),
    "lone surrogate in text": lambda: batch(2, sessions_ended=[(USER, ended(device_id="\ud800"))]),
    "interval beyond integer": lambda: batch(2, sessions_live=[(USER, live(interval_s=2**31))]),
    "duration beyond integer": lambda: batch(2, sessions_ended=[(USER, ended(duration_s=2**31))]),
    "total beyond bigint": lambda: batch(2, items=[(USER, item(total_playtime_s=2**63))]),
    "beat of an unknown session": lambda: batch(2, heartbeats=[(SessionId(uuid4().bytes), Micros(1), 60)]),
    "beat of an ended session": lambda: batch(2, heartbeats=[(OLD_ENDED.session_id, Micros(1), 60)]),
    "two beats of one session": lambda: batch(2, heartbeats=[(OLD_LIVE.session_id, Micros(n), 60) for n in (1, 2)]),
    "an ended session lives again": lambda: batch(2, sessions_live=[(USER, live(session_id=OLD_ENDED.session_id))]),
    "a second end": lambda: batch(2, sessions_ended=[(USER, OLD_ENDED)]),
    "another user's session": lambda: batch(2, sessions_live=[LIVE_ELSEWHERE]),
    "two items of a product": lambda: batch(2, items=[(USER, item(product_id=OLD_ITEM.product_id))]),
    "an item of another product": lambda: batch(2, items=[(USER, item(item_id=OLD_ITEM.item_id))]),
    "one item twice": lambda: batch(2, items=[(USER, OLD_ITEM), (USER, OLD_ITEM)]),
    "a purchase again": lambda: batch(2, purchases=[OLD_PURCHASE]),
    "a refund again": lambda: batch(2, purchases=[REFUNDED]),
    "one purchase twice": lambda: batch(2, purchases=[NEW_PURCHASE, NEW_PURCHASE]),
    "neither bought nor refunded": lambda: batch(2, purchases=[purchase(USER, acquisition_type=None)]),
    "a name again": lambda: batch(2, categories=[(USER, category(name="old"))]),
    "a name twice": lambda: batch(2, categories=[(USER, category(name="new")), (USER, category(name="new"))]),
    "another user's category": lambda: batch(2, categories=[(new_user(), OLD_CATEGORY)]),
    "NUL in a name": lambda: batch(2, categories=[(USER, category(name="a\0"))]),
    "lone surrogate in a name": lambda: batch(2, categories=[(USER, category(name="\ud800"))]),
    "a name too long": lambda: batch(2, categories=[(USER, category(name="a" * 101))]),
    "a rating of six": lambda: batch(2, items=[(USER, item(user_rating=6))]),
    "an anomaly again": lambda: batch(2, anomalies=[(USER, OLD_ANOMALY)]),
    "an outbox key again": lambda: batch(2, outbox=[OLD_OUTBOX]),
}


@pytest.mark.parametrize("broken", REFUSED.values(), ids=REFUSED.keys())
async def test_a_refused_row_leaves_everything_as_it_was(world: World, broken: Callable[[], FlushBatch]) -> None:
    """ARCHITECTURE.md, "Flush": always everything or nothing, so that replay applies nothing twice."""
    store = await owner(world, appended=2)
    await store.flush(
        batch(
            1,
            items=[(USER, OLD_ITEM)],
            sessions_live=[(USER, OLD_LIVE)],
            sessions_ended=[(USER, OLD_ENDED)],
            purchases=[OLD_PURCHASE, REFUNDED],
            categories=[(USER, OLD_CATEGORY)],
            anomalies=[(USER, OLD_ANOMALY)],
            outbox=[OLD_OUTBOX],
        )
    )
    user, now = new_user(), await world.now()
    before = await everything(world, USER, user)
    bad = broken()
    mixed = replace(
        bad,
        items=[(user, item()), *bad.items],
        sessions_live=[*bad.sessions_live, (user, live())],
        removed=[(user, removed())],
        purchases=[purchase(user), *bad.purchases],
        categories=[(user, category()), *bad.categories],
        commands=[(user, command(now))],
        outbox=[outbox_row(user, 2), *bad.outbox],
        gifts=[ShardGift(ShardId(0), Term(1), OTHER)],
    )

    with pytest.raises(CommitRefused):
        await store.flush(mixed)

    assert [seq for seq, _ in await world.journal(ME)] == [2]
    assert await everything(world, USER, user) == before
    await store.flush(batch(2))
    assert await world.journal(ME) == []
    assert await everything(world, USER, user) == before


async def everything(world: World, *users: UserId) -> tuple[object, ...]:
    """All rows that a flush may change; the users' own in the order given."""
    return (
        (await world.map_reader.read_map()).shards,
        await world.outbox(),
        by_id(await world.anomalies()),
        dict(await by_session(world)),
        list((await world.loader.libraries(users)).values()),
        list((await world.loader.commands(users)).values()),
    )


async def test_the_backlog_counts_what_waits_in_the_outbox(world: World) -> None:
    """Promise 6: above a mark, writes get 503."""
    user = new_user()
    store = await owner(world)
    assert await store.outbox_backlog() == 0
    await store.flush(batch(1, outbox=[outbox_row(user, 1, n) for n in range(7)]))
    assert await store.outbox_backlog() == 7


async def test_ended_sessions_need_not_have_been_flushed_alive(world: World) -> None:
    """A session may start and end between two flushes."""
    user, over = new_user(), ended()
    store = await owner(world)
    await store.flush(batch(1, sessions_ended=[(user, over)]))
    found: dict[SessionId, EndedSession] = await world.loader.ended_sessions([(user, over.session_id)])
    assert found == {over.session_id: over}
