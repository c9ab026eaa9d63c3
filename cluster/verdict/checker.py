"""What must be true when everything has come to rest: pure, judged by what clients were told and what was found."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from actors.domain.ids import SECOND, Micros, ProductId, SessionId, UserId, format_id
from actors.domain.spans import Span, measure, minus, union
from cluster.verdict.found import Found, FoundCategory, FoundItem, FoundSession
from cluster.verdict.history import Brought, History, Told
from cluster.verdict.library import library_problems, update_problems

ADDED = "library.game.added.v1"
REMOVED = "library.game.removed.v1"
STARTED = "library.playtime.session.started.v1"
ENDED = "library.playtime.session.ended.v1"

Change = tuple[str, str]
"""An event's type and subject: what happened, and to what."""


def violations(histories: Iterable[History], found: Found) -> list[str]:
    """Every broken promise, worded; empty when all are kept."""
    histories = list(histories)
    sessions = {session.session_id: session for session in found.sessions}
    started = Counter(session.user_id for session in found.sessions if not session.offline)
    brought = Counter(session.user_id for session in found.sessions if session.offline)
    items: dict[UserId, list[FoundItem]] = defaultdict(list)
    for item in found.items:
        items[item.user_id].append(item)
    categories: dict[UserId, list[FoundCategory]] = defaultdict(list)
    for category in found.categories:
        categories[category.user_id].append(category)
    wrong: list[str] = []
    for history in histories:
        wrong += history.violations
        wrong += _acknowledged(history, sessions, started[history.user_id])
        wrong += _brought(history, sessions, brought[history.user_id])
        wrong += library_problems(history, items[history.user_id], categories[history.user_id])
    wrong += _ledger(found)
    wrong += _published(found, sessions, histories)
    wrong += found.left
    if found.dead_letters:
        wrong.append(f"messages became dead letters: {found.dead_letters}")
    return wrong


def _acknowledged(history: History, sessions: dict[SessionId, FoundSession], started: int) -> Iterator[str]:
    """Nothing that was acknowledged is lost or changed (promise 1), no start made two sessions (promise 2)."""
    if started > history.starts:
        yield f"{history.name}: {history.starts} starts made {started} sessions"
    for session_id, told in history.sessions.items():
        session = sessions.get(session_id)
        if session is None or session.user_id != history.user_id:
            yield f"an acknowledged start is lost: {format_id(session_id)} of {history.name}"
        else:
            for problem in _one_session(told, session):
                yield f"{problem}: {format_id(session_id)} of {history.name}"


def _brought(history: History, sessions: dict[SessionId, FoundSession], stored: int) -> Iterator[str]:
    """Each offline session that was taken is there as it was answered, and none is there twice (R-PT-6)."""
    if stored > history.offline_wanted:
        yield f"{history.name}: {history.offline_wanted} offline sessions made {stored}"
    for session_id, taken in history.brought.items():
        session = sessions.get(session_id)
        if session is None or session.end is None or session.user_id != history.user_id:
            yield f"an acknowledged offline session is lost: {format_id(session_id)} of {history.name}"
        elif taken != Brought(
            product_id=session.product_id,
            started_at=session.started_at,
            ended_at=session.end.ended_at,
            credited_s=session.end.duration_s,
        ):
            yield f"an acknowledged offline session has changed: {format_id(session_id)} of {history.name}"


def _one_session(told: Told, session: FoundSession) -> Iterator[str]:
    """No session ends before its last acknowledged beat (R-PT-9)."""
    stored = (session.started_at, session.product_id, session.device_id)
    if stored != (told.started_at, told.product_id, told.device_id):
        yield "an acknowledged start has changed"
    if session.end is None:
        if told.ended is not None:
            yield "an acknowledged end is lost"
        if session.last_heartbeat_at < told.last_accepted:
            yield "an acknowledged beat is lost"
        return
    if session.end.ended_at < told.last_accepted:
        yield "a session ends before its last acknowledged beat"
    if told.ended is not None and told.ended != session.end:
        yield "an acknowledged end has changed"
    if session.end.reason == "timeout" and told.must_be_live:
        yield "a session that was beating was timed out"


def _ledger(found: Found) -> Iterator[str]:
    """Totals are the sums of sessions, which count whole seconds of times that do not overlap, and together all of the
    time in which there was a session (R-PT-2, R-PT-4, R-PT-6)."""
    sums: dict[tuple[UserId, ProductId], int] = defaultdict(int)
    spans: dict[tuple[UserId, ProductId], list[tuple[Micros, Micros, SessionId]]] = defaultdict(list)
    whole: dict[tuple[UserId, ProductId], list[Span]] = defaultdict(list)
    for session in found.sessions:
        name = format_id(session.session_id)
        if session.end is None:
            yield f"a session is live after all clients left: {name}"
            continue
        key = (session.user_id, session.product_id)
        sums[key] += session.end.duration_s
        span = (session.started_at, session.end.ended_at)
        own = minus(span, session.counted_elsewhere)
        spans[key] += ((begin, end, session.session_id) for begin, end in own)
        whole[key].append(span)
        if session.end.duration_s != measure(own) // SECOND:
            yield f"a duration is not the whole seconds of its session: {name}"
        if session.end.reason == "timeout" and session.end.ended_at != session.last_heartbeat_at:
            yield f"a session that timed out does not end at its last beat: {name}"
    for item in found.items:
        played = sums[item.user_id, item.product_id]
        if item.total_playtime_s != played:
            name = format_id(item.item_id)
            yield f"an item's total is {item.total_playtime_s}, its sessions sum up to {played}: {name}"
    for key, times in spans.items():
        if measure(union(whole[key])) > measure(union((begin, end) for begin, end, _ in times)):
            yield f"time was played that no session counts: {format_id(key[1])}"
        times.sort()
        for (_, end, one), (begin, _, other) in pairwise(times):
            if begin < end:
                yield f"two sessions of a product overlap: {format_id(one)} and {format_id(other)}"


def _published(found: Found, sessions: dict[SessionId, FoundSession], histories: Iterable[History]) -> Iterator[str]:
    """Every change has its event, every event its change, once by id, in order per user (R-EVT-2)."""
    bodies: dict[str, bytes] = {}
    events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for body in found.events:
        event = json.loads(body)
        if event["id"] not in bodies:
            bodies[event["id"]] = body
            events[event["partitionkey"]].append(event)
        elif bodies[event["id"]] != body:
            yield f"two events have the same id: {event['id']}"
    told = Counter((event["type"], event["subject"]) for one in events.values() for event in one)
    yield from _one_event_a_change(found, told)
    yield from update_problems(found.items, events, {history.user_id: history for history in histories})
    starts = {(STARTED, format_id(session_id)): session.started_at for session_id, session in sessions.items()}
    offline = {format_id(session_id) for session_id, session in sessions.items() if session.offline}
    for user, one in events.items():
        yield from _in_order(user, [(event["type"], event["subject"]) for event in one], starts, offline)


def _one_event_a_change(found: Found, told: Counter[Change]) -> Iterator[str]:
    """An item that is there came once more than it went; what is not there came as often as it went."""
    expected: Counter[Change] = Counter({(ADDED, format_id(item.item_id)): 1 for item in found.items})
    for session in found.sessions:
        if not session.offline:
            expected[STARTED, format_id(session.session_id)] += 1
        if session.end is not None:
            expected[ENDED, format_id(session.session_id)] += 1
    for change, count in told.items():
        if change[0] == REMOVED:
            expected[ADDED, change[1]] += count
    for change in sorted({*expected, *(change for change in told if change[0] in (ADDED, STARTED, ENDED))}):
        kind, subject = change
        if told[change] > expected[change]:
            yield (
                f"an event has no change: {kind} {subject}"
                if not expected[change]
                else (f"one change has two events: {kind} {subject}")
            )
        elif told[change] < expected[change]:
            yield f"a change has no event: {kind} {subject}"


def _in_order(user: str, changes: Sequence[Change], starts: dict[Change, Micros], offline: set[str]) -> Iterator[str]:
    """A user's starts and ends come in the order in which they happened, what was offline has no start; an item comes
    before it goes."""
    times = [starts[change] for change in changes if change in starts]
    if times != sorted(times):
        yield f"a user's events are out of order: {user}"
    seen: set[str] = set()
    owned: set[str] = set()
    for kind, subject in changes:
        if kind == STARTED:
            seen.add(subject)
        elif kind == ENDED and subject not in seen and subject not in offline:
            yield f"a session's end was published before its start: {subject}"
        elif kind == ADDED:
            owned.add(subject)
        elif kind == REMOVED and subject not in owned:
            yield f"an item was taken back before it was there: {subject}"
        elif kind == REMOVED:
            owned.remove(subject)
