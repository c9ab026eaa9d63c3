"""The judge of `library chaos` and of the simulation, fed with histories of the real client's shape: the whole one
passes, each broken promise is noticed and named."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from actors.domain.ids import SECOND, ItemId, Micros, ProductId, SessionId, UserId, format_id
from cluster.verdict.checker import ADDED, ENDED, STARTED, violations
from cluster.verdict.found import Found, FoundItem, FoundSession
from cluster.verdict.history import End, History

USER = UserId(b"u" * 16)
PRODUCT = ProductId(b"p" * 16)
ITEM = ItemId(b"i" * 16)
FIRST, SECOND_ONE = SessionId(b"1" * 16), SessionId(b"2" * 16)
BEGAN = Micros(1_700_000_000 * SECOND)


def at(seconds: float) -> Micros:
    return Micros(BEGAN + int(seconds * SECOND))


def event(number: int, kind: str, subject: bytes, user: bytes = USER) -> bytes:
    return json.dumps(
        {"id": f"event-{number}", "type": kind, "subject": format_id(subject), "partitionkey": format_id(user)}
    ).encode()


def played() -> tuple[History, Found]:
    """One user, one game, two sessions: an hour ended by the client, and half an hour that timed out after it left."""
    history = History(user_id=USER, name="user 0", now=lambda: 0.0, products=[PRODUCT], starts=2)
    first = history.started(session_id=FIRST, product_id=PRODUCT, device_id="deck", started_at=at(0))
    history.beat_counted(first, at(1800))
    history.end_answered(first, ended(3600, 3600))
    second = history.started(session_id=SECOND_ONE, product_id=PRODUCT, device_id="deck", started_at=at(4000))
    history.beat_counted(second, at(5800))
    second.may_have_ended = True
    history.final_totals = {PRODUCT: 5400}
    found = Found(
        items=[FoundItem(item_id=ITEM, user_id=USER, product_id=PRODUCT, total_playtime_s=5400)],
        sessions=[
            session(FIRST, 0, 1800, ended(3600, 3600)),
            session(SECOND_ONE, 4000, 5800, ended(5800, 1800, "timeout")),
        ],
        events=[
            event(1, ADDED, ITEM),
            event(2, STARTED, FIRST),
            event(3, ENDED, FIRST),
            event(4, STARTED, SECOND_ONE),
            event(5, ENDED, SECOND_ONE),
        ],
        left=[],
        dead_letters=0,
    )
    return history, found


def ended(seconds: float, duration_s: int, reason: str = "client") -> End:
    return End(ended_at=at(seconds), duration_s=duration_s, reason=reason)


def session(session_id: SessionId, began_s: float, beat_s: float, end: End | None) -> FoundSession:
    return FoundSession(
        session_id=session_id,
        user_id=USER,
        product_id=PRODUCT,
        device_id="deck",
        started_at=at(began_s),
        last_heartbeat_at=at(beat_s),
        end=end,
    )


def test_a_history_that_is_kept_is_not_blamed() -> None:
    history, found = played()
    assert violations([history], found) == []


def test_an_event_that_is_published_again_is_no_fault() -> None:
    """R-EVT-2: duplicates carry the same id and the same body."""
    history, found = played()
    assert violations([history], replace(found, events=[*found.events, found.events[1]])) == []


def test_an_item_is_updated_as_often_as_its_user_likes() -> None:
    history, found = played()
    for _ in range(2):
        history.shelf.change_sent(ITEM)
    updates = [update(6, is_hidden=True), update(7, is_hidden=False, user_rating=5)]
    told = replace(found, events=[*found.events, *updates])
    assert violations([history], told) == []
    shown = {"is_hidden": False, "user_rating": 5, "category_ids": []}
    assert violations([history], replace(told, items=[replace(told.items[0], shown=shown)])) == []
    assert (
        len(violations([history], replace(told, items=[replace(told.items[0], shown=shown | {"is_hidden": True})])))
        == 1
    )


def test_an_item_comes_once_more_than_it_goes() -> None:
    """R-LIB-8: a refund and another order are two more events, and not one."""
    history, found = played()
    back = [event(6, "library.game.removed.v1", ITEM), event(7, "library.game.added.v1", ITEM)]
    assert violations([history], replace(found, events=[*found.events, *back])) == []
    for lone in back:
        assert len(violations([history], replace(found, events=[*found.events, lone]))) == 1


def update(number: int, **changes: Any) -> bytes:
    whole = json.loads(event(number, "library.item.updated.v1", ITEM))
    return json.dumps({**whole, "data": {"changes": changes}}).encode()


Break = Callable[[Found], dict[str, Any]]

BROKEN_TABLES: dict[str, Break] = {
    "an acknowledged start is lost": lambda f: {"sessions": f.sessions[1:]},
    "an acknowledged start has changed": lambda f: {
        "sessions": [replace(f.sessions[0], device_id="desktop"), f.sessions[1]]
    },
    "an acknowledged end is lost": lambda f: {"sessions": [replace(f.sessions[0], end=None), f.sessions[1]]},
    "an acknowledged end has changed": lambda f: {
        "sessions": [
            replace(f.sessions[0], end=ended(3601, 3601)),
            f.sessions[1],
        ]
    },
    "an acknowledged beat is lost": lambda f: {
        "sessions": [f.sessions[0], replace(f.sessions[1], end=None, last_heartbeat_at=at(5000))]
    },
    "a session ends before its last acknowledged beat": lambda f: {
        "sessions": [
            f.sessions[0],
            replace(f.sessions[1], end=ended(5000, 1000, "timeout")),
        ]
    },
    "a session that timed out does not end at its last beat": lambda f: {
        "sessions": [
            f.sessions[0],
            replace(f.sessions[1], end=ended(5860, 1860, "timeout")),
        ]
    },
    "2 starts made 3 sessions": lambda f: {
        "sessions": [*f.sessions, session(SessionId(b"3" * 16), 9000, 9000, ended(9000, 0))]
    },
    "two sessions of a product overlap": lambda f: {
        "sessions": [
            f.sessions[0],
            session(SECOND_ONE, 3599, 5800, ended(5800, 2201, "timeout")),
        ]
    },
    "a duration is not the whole seconds": lambda f: {
        "sessions": [f.sessions[0], replace(f.sessions[1], end=ended(5800, 1801, "timeout"))]
    },
    "its sessions sum up to 5400": lambda f: {"items": [replace(f.items[0], total_playtime_s=5401)]},
    "totals are answered that are not those of the table": lambda f: {
        "items": [replace(f.items[0], total_playtime_s=5401)]
    },
    "bought 1 products, owns 0 items": lambda f: {"items": []},
    "owns 2 items": lambda f: {"items": [f.items[0], replace(f.items[0], item_id=ItemId(b"j" * 16))]},
    "a change has no event": lambda f: {"events": f.events[:-1]},
    "an event has no change": lambda f: {"events": [*f.events, event(9, STARTED, b"9" * 16)]},
    "one change has two events": lambda f: {"events": [*f.events, event(9, STARTED, FIRST)]},
    "two events have the same id": lambda f: {"events": [*f.events, event(5, STARTED, FIRST)]},
    "a user's events are out of order": lambda f: {
        "events": [f.events[0], f.events[3], f.events[4], f.events[1], f.events[2]]
    },
    "published before its start": lambda f: {"events": [f.events[0], f.events[2], f.events[1], *f.events[3:]]},
    "not at rest: 3 in outbox": lambda f: {"left": ["not at rest: 3 in outbox"]},
    "messages became dead letters: 1": lambda f: {"dead_letters": 1},
}  # fmt: skip


@pytest.mark.parametrize("named", BROKEN_TABLES)
def test_what_tables_and_topic_lack_is_named(named: str) -> None:
    """Promises 1 and 2, R-PT-2, R-PT-4, R-PT-9, R-LIB-5, R-EVT-2: each broken once."""
    history, found = played()
    wrong = violations([history], replace(found, **BROKEN_TABLES[named](found)))
    assert any(named in one for one in wrong), wrong


def test_a_session_that_was_beating_may_not_be_found_timed_out() -> None:
    """R-PT-3: its client gave no reason, and never heard of it."""
    history, found = played()
    history.sessions[SECOND_ONE].may_have_ended = False
    (wrong,) = violations([history], found)
    assert wrong.startswith("a session that was beating was timed out")


def playing() -> History:
    history = History(user_id=USER, name="user 0", now=lambda: 0.0, products=[PRODUCT], starts=1)
    told = history.started(session_id=FIRST, product_id=PRODUCT, device_id="deck", started_at=at(0))
    history.beat_counted(told, at(60))
    return history


def beat_refused(history: History) -> None:
    history.beat_refused_as_ended(history.sessions[FIRST])


def timed_out(history: History) -> None:
    history.end_answered(history.sessions[FIRST], ended(60, 60, "timeout"))


def ended_too_early(history: History) -> None:
    history.end_answered(history.sessions[FIRST], ended(59, 59))


def ended_in_two_ways(history: History) -> None:
    for seconds in (70, 71):
        history.end_answered(history.sessions[FIRST], ended(seconds, seconds))


def beats_after_its_end(history: History) -> None:
    told = history.sessions[FIRST]
    history.end_answered(told, ended(70, 70))
    history.beat_counted(told, at(71))


def beats_backwards(history: History) -> None:
    history.beat_counted(history.sessions[FIRST], at(59))


def started_again_after_its_end(history: History) -> None:
    history.end_answered(history.sessions[FIRST], ended(70, 70))
    history.started(session_id=FIRST, product_id=PRODUCT, device_id="deck", started_at=at(0))


def read_without_the_item(history: History) -> None:
    history.saw_items(history.before_reading(), {})


def read_with_less_play(history: History) -> None:
    history.end_answered(history.sessions[FIRST], ended(70, 70))
    history.saw_items(history.before_reading(), {PRODUCT: 69})


def statistics_with_less_play(history: History) -> None:
    history.end_answered(history.sessions[FIRST], ended(70, 70))
    history.saw_total(history.before_reading(), 69)


def read_without_the_live_session(history: History) -> None:
    history.saw_live(history.before_reading(), {}, history.sessions[FIRST])


def read_without_the_beat(history: History) -> None:
    history.saw_live(history.before_reading(), {FIRST: at(59)}, history.sessions[FIRST])


def read_with_the_ended_session(history: History) -> None:
    history.end_answered(history.sessions[FIRST], ended(70, 70))
    history.saw_live(history.before_reading(), {FIRST: None})


BROKEN_ANSWERS = {
    "a session that was beating was ended": beat_refused,
    "a session that was beating was timed out": timed_out,
    "before the last acknowledged beat": ended_too_early,
    "an end was answered in two ways": ended_in_two_ways,
    "beats on after its end": beats_after_its_end,
    "at an earlier time than the one before": beats_backwards,
    "whose end was acknowledged": started_again_after_its_end,
    "lacks an item that was played": read_without_the_item,
    "a read shows less play": read_with_less_play,
    "statistics show less play": statistics_with_less_play,
    "does not show a live session": read_without_the_live_session,
    "does not show an acknowledged beat": read_without_the_beat,
    "a read shows a session as live": read_with_the_ended_session,
}


@pytest.mark.parametrize("named", BROKEN_ANSWERS)
def test_an_answer_that_contradicts_an_earlier_one_is_named(named: str) -> None:
    """Promise 5, R-PT-3, R-PT-9: at the moment it is given."""
    history = playing()
    assert history.violations == []
    BROKEN_ANSWERS[named](history)
    assert any(named in one for one in history.violations), history.violations
