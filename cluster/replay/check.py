"""The judgement: pure. What clients were told and what was bought, against what the API and the tables show.

Every comparison is in the service's own times, so a client whose idea of the clock rate was wrong raises no alarm.
Sessions that no client was told of are judged too: an answer may have been lost, or an earlier run may have left them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from actors.domain.ids import SECOND, Micros, format_time, parse_time
from cluster.replay.told import ToldSession

Owned = tuple[str, str]
"""A user and a product."""

Kind = Literal[
    "item not shown",
    "item shown twice",
    "item not in the table",
    "item twice in the table",
    "API total is not the table's",
    "total is not the sum of the sessions",
    "duration is not end minus start",
    "session still live",
    "sessions overlap",
    "acknowledged start is missing",
    "acknowledged start differs",
    "ended before an accepted heartbeat",
    "acknowledged end is missing",
    "acknowledged end differs",
    "answer is unreadable",
    "total is not the file's",
    "acknowledged session is missing",
    "acknowledged session differs",
    "session nobody sent",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One item as the API or the table shows it."""

    user_id: str
    product_id: str
    total_seconds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """One row of ``playtime_sessions``; live while it has no ``ended_at``. ``client_session_id``: recorded offline."""

    session_id: str
    user_id: str
    product_id: str
    started_at: Micros
    last_heartbeat_at: Micros
    ended_at: Micros | None
    duration_seconds: int | None
    client_session_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """``bought``: purchases that are durable in Kafka. ``cut``: the run was ended early, so sessions may be live."""

    bought: Iterable[Owned]
    told: Sequence[ToldSession]
    api_items: Sequence[Item]
    table_items: Sequence[Item]
    sessions: Sequence[Session]
    cut: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    kind: Kind
    user_id: str
    product_id: str
    detail: str


def check(evidence: Evidence) -> list[Violation]:
    """Everything that is not as promised, in the order of ``Kind``'s groups: items, sessions, what clients know."""
    return [
        *_check_presence(evidence),
        *_check_totals(evidence),
        *_check_sessions(evidence),
        *_check_overlaps(evidence.sessions),
        *_check_told(evidence),
    ]


def _check_presence(evidence: Evidence) -> Iterator[Violation]:
    shown = Counter((item.user_id, item.product_id) for item in evidence.api_items)
    stored = Counter((item.user_id, item.product_id) for item in evidence.table_items)
    for owned in evidence.bought:
        if owned not in shown:
            yield _violation("item not shown", owned)
        if owned not in stored:
            yield _violation("item not in the table", owned)
    for owned, times in shown.items():
        if times > 1:
            yield _violation("item shown twice", owned, f"{times} times")
    for owned, times in stored.items():
        if times > 1:
            yield _violation("item twice in the table", owned, f"{times} times")


def _check_totals(evidence: Evidence) -> Iterator[Violation]:
    sums: Counter[Owned] = Counter()
    for session in evidence.sessions:
        if session.ended_at is not None:
            sums[session.user_id, session.product_id] += session.duration_seconds or 0
    stored: dict[Owned, int] = {}
    for item in evidence.table_items:
        owned = (item.user_id, item.product_id)
        stored[owned] = item.total_seconds
        if item.total_seconds != sums[owned]:
            detail = f"total {item.total_seconds} s, sessions {sums[owned]} s"
            yield _violation("total is not the sum of the sessions", owned, detail)
    for item in evidence.api_items:
        owned = (item.user_id, item.product_id)
        if owned in stored and stored[owned] != item.total_seconds:
            detail = f"API {item.total_seconds} s, table {stored[owned]} s"
            yield _violation("API total is not the table's", owned, detail)


def _check_sessions(evidence: Evidence) -> Iterator[Violation]:
    for session in evidence.sessions:
        owned = (session.user_id, session.product_id)
        if session.ended_at is None:
            if not evidence.cut:
                yield _violation("session still live", owned, f"session {session.session_id}")
        elif session.duration_seconds != (session.ended_at - session.started_at) // SECOND:
            detail = f"{_shown(session)}: {session.duration_seconds} s"
            yield _violation("duration is not end minus start", owned, detail)


def _check_overlaps(sessions: Sequence[Session]) -> Iterator[Violation]:
    by_owned: dict[Owned, list[Session]] = {}
    for session in sessions:
        by_owned.setdefault((session.user_id, session.product_id), []).append(session)
    for owned, own in by_owned.items():
        own.sort(key=lambda session: (session.started_at, _last_known(session)))
        for earlier, later in pairwise(own):
            if later.started_at < _last_known(earlier):
                yield _violation("sessions overlap", owned, f"{_shown(earlier)} and {_shown(later)}")


def _check_told(evidence: Evidence) -> Iterator[Violation]:
    sessions = {session.session_id: session for session in evidence.sessions}
    for told in evidence.told:
        try:
            yield from _check_one_told(told, sessions)
        except ValueError as error:
            detail = f"session {told.session_id}: {error}"
            yield _violation("answer is unreadable", (told.user_id, told.product_id), detail)


def _check_one_told(told: ToldSession, sessions: Mapping[str, Session]) -> Iterator[Violation]:
    owned = (told.user_id, told.product_id)
    session = sessions.get(told.session_id)
    if session is None:
        yield _violation("acknowledged start is missing", owned, f"session {told.session_id}")
        if told.end is not None:
            yield _violation("acknowledged end is missing", owned, f"session {told.session_id}")
        return
    if (session.user_id, session.product_id) != owned or session.started_at != parse_time(told.start_time):
        yield _violation("acknowledged start differs", owned, f"told {told.start_time}, stored {_shown(session)}")
    if told.accepted_at is not None and _last_known(session) < parse_time(told.accepted_at):
        detail = f"{_shown(session)}, accepted {told.accepted_at}"
        yield _violation("ended before an accepted heartbeat", owned, detail)
    if told.end is None:
        return
    detail = f"told {told.end.end_time} and {told.end.duration_seconds} s, stored {_shown(session)}"
    if session.ended_at is None:
        yield _violation("acknowledged end is missing", owned, detail)
    elif (session.ended_at, session.duration_seconds) != (parse_time(told.end.end_time), told.end.duration_seconds):
        yield _violation("acknowledged end differs", owned, f"{detail}, {session.duration_seconds} s")


def _last_known(session: Session) -> Micros:
    """A live session goes on at least until its latest beat."""
    return session.last_heartbeat_at if session.ended_at is None else session.ended_at


def _shown(session: Session) -> str:
    end = "live" if session.ended_at is None else format_time(session.ended_at)
    return f"session {session.session_id} {format_time(session.started_at)} - {end}"


def _violation(kind: Kind, owned: Owned, detail: str = "") -> Violation:
    return Violation(kind=kind, user_id=owned[0], product_id=owned[1], detail=detail)
