"""The judge of offline play, fed with histories in which a session is lost, doubled, or counts wrong seconds."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from actors.domain.ids import SECOND, ItemId, Micros, ProductId, SessionId, UserId, format_id
from cluster.verdict.checker import ADDED, ENDED, STARTED, violations
from cluster.verdict.found import Found, FoundItem, FoundSession
from cluster.verdict.history import Brought, End, History

USER = UserId(b"u" * 16)
PRODUCT = ProductId(b"p" * 16)
ITEM = ItemId(b"i" * 16)
LIVE, OFFLINE = SessionId(b"l" * 16), SessionId(b"o" * 16)
BEGAN = Micros(1_700_000_000 * SECOND)


def at(seconds: float) -> Micros:
    return Micros(BEGAN + int(seconds * SECOND))


def end(seconds: float, duration_s: int) -> End:
    return End(ended_at=at(seconds), duration_s=duration_s, reason="client")


def event(kind: str, subject: bytes) -> bytes:
    name = format_id(subject)
    return json.dumps({"id": f"{kind} {name}", "type": kind, "subject": name, "partitionkey": format_id(USER)}).encode()


def brought() -> tuple[History, Found]:
    """A hundred seconds live; sixty offline, of which the live session counts the first ten. All in all 150."""
    history = History(user_id=USER, name="user 0", now=lambda: 0.0, products=[PRODUCT], starts=1, offline_wanted=1)
    told = history.started(session_id=LIVE, product_id=PRODUCT, device_id="deck", started_at=at(0))
    history.end_answered(told, end(100, 100))
    taken = Brought(product_id=PRODUCT, started_at=at(90), ended_at=at(150), credited_s=50)
    for _ in range(2):
        history.offline_taken(OFFLINE, taken)
    history.final_totals = {PRODUCT: 150}
    live = FoundSession(
        session_id=LIVE,
        user_id=USER,
        product_id=PRODUCT,
        device_id="deck",
        started_at=at(0),
        last_heartbeat_at=at(100),
        end=end(100, 100),
    )
    offline = replace(
        live,
        session_id=OFFLINE,
        started_at=at(90),
        last_heartbeat_at=at(150),
        end=end(150, 50),
        offline=True,
        counted_elsewhere=((at(90), at(100)),),
    )
    found = Found(
        items=[FoundItem(item_id=ITEM, user_id=USER, product_id=PRODUCT, total_playtime_s=150)],
        sessions=[live, offline],
        events=[event(ADDED, ITEM), event(STARTED, LIVE), event(ENDED, LIVE), event(ENDED, OFFLINE)],
        left=[],
        dead_letters=0,
    )
    return history, found


def test_overlapping_play_that_is_counted_once_is_not_blamed() -> None:
    history, found = brought()
    assert violations([history], found) == []


def offline(found: Found, **changed: Any) -> dict[str, Any]:
    return {"sessions": [found.sessions[0], replace(found.sessions[1], **changed)]}


BROKEN: dict[str, Callable[[Found], dict[str, Any]]] = {
    "an acknowledged offline session is lost": lambda f: {"sessions": f.sessions[:1]},
    "1 offline sessions made 2": lambda f: {
        "sessions": [*f.sessions, replace(f.sessions[1], session_id=SessionId(b"t" * 16))]
    },
    "an acknowledged offline session has changed": lambda f: offline(f, end=end(150, 51)),
    "a duration is not the whole seconds": lambda f: offline(f, end=end(150, 60)),
    "two sessions of a product overlap": lambda f: offline(f, counted_elsewhere=(), end=end(150, 60)),
    "time was played that no session counts": lambda f: offline(
        f, counted_elsewhere=((at(90), at(110)),), end=end(150, 40)
    ),
    "an item's total is 160, its sessions sum up to 150": lambda f: {
        "items": [replace(f.items[0], total_playtime_s=160)]
    },
    "a change has no event": lambda f: {"events": f.events[:-1]},
}  # fmt: skip


@pytest.mark.parametrize("named", BROKEN)
def test_offline_play_that_is_lost_or_counted_wrongly_is_named(named: str) -> None:
    """R-PT-4, R-PT-6: each broken once."""
    history, found = brought()
    wrong = violations([history], replace(found, **BROKEN[named](found)))
    assert any(named in one for one in wrong), wrong


def test_an_offline_session_that_is_answered_in_two_ways_is_named() -> None:
    history, _ = brought()
    history.offline_taken(OFFLINE, replace(history.brought[OFFLINE], credited_s=60))
    assert any("credited in two ways" in one for one in history.violations)
