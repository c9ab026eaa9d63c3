"""What must be true when everything has come to rest, judged by what clients were told, and what the tables and the
topic show."""

import json
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

from actors.domain.ids import Micros, ProductId, UserId, format_id
from actors.domain.model import EndedSession, LiveSession
from tests.memory.kafka import MemoryKafka
from tests.memory.tables import Tables
from tests.simulation.clients import History
from tests.simulation.world import DEAD_LETTERS, EVENTS


def violations(histories: Iterable[History], tables: Tables, kafka: MemoryKafka) -> list[str]:
    """Every broken promise, worded; empty when all are kept."""
    found: list[str] = []
    histories = list(histories)
    for history in histories:
        found += history.violations
        found += _acknowledged(history, tables)
        found += _library(history, tables)
    found += _ledger(tables)
    found += _published(tables, kafka)
    found += [f"journal rows are left: {host}" for host, rows in tables.journal.items() if rows]
    found += ["the outbox is not empty"] if tables.outbox else []
    found += ["a message became a dead letter"] if kafka.records(DEAD_LETTERS) else []
    return found


def _acknowledged(history: History, tables: Tables) -> list[str]:
    """Nothing that was acknowledged is lost or changed (promise 1), none ends before its last beat (R-PT-9)."""
    found = []
    started = sum(user_id == history.user_id for user_id, _ in tables.sessions.values())
    if started > history.starts:
        found.append(f"{history.starts} starts made {started} sessions")
    for session_id, told in history.sessions.items():
        row = tables.sessions.get(session_id)
        name = format_id(session_id)
        if row is None or row[0] != history.user_id:
            found.append(f"an acknowledged start is lost: {name}")
            continue
        session = row[1]
        if (session.started_at, session.product_id) != (told.session.started_at, told.session.product_id):
            found.append(f"an acknowledged start has changed: {name}")
        if isinstance(session, EndedSession):
            if session.ended_at < told.last_accepted:
                found.append(f"a session ends before its last acknowledged beat: {name}")
            if told.ended is not None and told.ended != session:
                found.append(f"an acknowledged end has changed: {name}")
        else:
            if told.ended is not None:
                found.append(f"an acknowledged end is lost: {name}")
            if session.last_heartbeat_at < told.last_accepted:
                found.append(f"an acknowledged beat is lost: {name}")
    return found


def _library(history: History, tables: Tables) -> list[str]:
    """Each purchase gave one item (R-LIB-5)."""
    owned = [item.product_id for user_id, item in tables.items.values() if user_id == history.user_id]
    if sorted(owned) != sorted(history.products):
        return [f"bought {len(history.products)} products, owns {len(owned)} items"]
    return []


def _ledger(tables: Tables) -> list[str]:
    """Totals are the sums of sessions, whose times do not overlap and are whole (R-PT-2, R-PT-4)."""
    found = []
    sums: dict[tuple[UserId, ProductId], int] = defaultdict(int)
    spans: dict[tuple[UserId, ProductId], list[tuple[Micros, Micros]]] = defaultdict(list)
    for user_id, session in tables.sessions.values():
        key = (user_id, session.product_id)
        if isinstance(session, LiveSession):
            found.append(f"a session is live after all clients left: {format_id(session.session_id)}")
            continue
        sums[key] += session.duration_s
        spans[key].append((session.started_at, session.ended_at))
        if session.duration_s != (session.ended_at - session.started_at) // 1_000_000:
            found.append("a duration is not the whole seconds of its session")
    for user_id, item in tables.items.values():
        if item.total_playtime_s != sums[user_id, item.product_id]:
            found.append(
                f"an item's total is {item.total_playtime_s}, its sessions sum up to {sums[user_id, item.product_id]}"
            )
    for times in spans.values():
        times.sort()
        found += ["two sessions of a product overlap" for (_, end), (begin, _) in pairwise(times) if begin < end]
    return found


def _published(tables: Tables, kafka: MemoryKafka) -> list[str]:
    """Every change has its event, every event its change, once by id, in order per user (R-EVT-2)."""
    found = []
    bodies: dict[str, bytes] = {}
    order: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for record in kafka.records(EVENTS):
        body = record.value or b""
        event = json.loads(body)
        if bodies.setdefault(event["id"], body) != body:
            found.append("two events have the same id")
            continue
        key = (event["type"], event["subject"])
        if key not in order[event["partitionkey"]]:
            order[event["partitionkey"]].append(key)
    expected: set[tuple[str, str]] = set()
    for _, item in tables.items.values():
        expected.add(("library.game.added.v1", format_id(item.item_id)))
    for session_id, (_, session) in tables.sessions.items():
        expected.add(("library.playtime.session.started.v1", format_id(session_id)))
        if isinstance(session, EndedSession):
            expected.add(("library.playtime.session.ended.v1", format_id(session_id)))
    published = [key for keys in order.values() for key in keys]
    if len(bodies) != len(set(published)):
        found.append("one change has two events")
    if missing := expected - set(published):
        found.append(f"{len(missing)} changes have no event")
    if surplus := set(published) - expected:
        found.append(f"{len(surplus)} events have no change")
    found += _in_order(tables, order)
    return found


def _in_order(tables: Tables, order: dict[str, list[tuple[str, str]]]) -> list[str]:
    """A user's starts and ends come in the order in which they happened."""
    times: dict[tuple[str, str], Micros] = {}
    for session_id, (_, session) in tables.sessions.items():
        times["library.playtime.session.started.v1", format_id(session_id)] = session.started_at
    found = []
    for keys in order.values():
        starts = [times[key] for key in keys if key in times]
        if starts != sorted(starts):
            found.append("a user's events are out of order")
        seen: set[str] = set()
        for kind, subject in keys:
            if kind.endswith("started.v1"):
                seen.add(subject)
            elif kind.endswith("ended.v1") and subject not in seen:
                found.append("a session's end was published before its start")
    return found
