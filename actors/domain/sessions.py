"""Play sessions: start, heartbeat, end, time-out (R-PT-1 to R-PT-4, R-PT-8 to R-PT-10).

Two rules carry the exact ledger. A session ends at its last proof of life, which is journaled before it is
acknowledged; and its length is counted once, in whole seconds, by the event that ends it, which also carries the
item's new total.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from actors.domain.commands import EndSession, ExpireSessions, Heartbeat, ListLiveSessions, StartSession
from actors.domain.context import Context
from actors.domain.events import AnomalyRecorded, Event, HeartbeatAccepted, SessionEnded, SessionStarted
from actors.domain.ids import SECOND, Micros, ProductId, SessionId
from actors.domain.library import library_of
from actors.domain.model import (
    Aggregate,
    Anomaly,
    EndedSession,
    EndReason,
    Library,
    LibraryItem,
    LiveSession,
    NotLoaded,
    User,
)
from actors.domain.replies import (
    Answer,
    Done,
    HeartbeatCounted,
    LiveSessions,
    Refused,
    SessionIsLive,
    SessionIsOver,
)
from actors.domain.spans import measure, within

Decision = tuple[Sequence[Event], Answer]

TOO_FAST_DIVISOR = 10
"""Beats closer together than a tenth of the interval count once (R-PT-8)."""


def is_silent(session: LiveSession, context: Context) -> bool:
    """Whether the session's time is over. Silence counts only while we could hear: from the last beat, or from when
    the shard began to be served, or from the end of the last interval in which no beat could have been acknowledged."""
    heard = max(session.last_heartbeat_at, context.heard_since)
    return context.now >= heard + context.policy.timeout_after(session.interval_s)


def live_session(user: User, session_id: SessionId) -> LiveSession | None:
    """The user's live session of that id, if it is one."""
    for session in user.live:
        if session.session_id == session_id:
            return session
    return None


def ended_session(user: User, session_id: SessionId) -> EndedSession | None:
    """The user's ended session of that id, None if the user has none; ``NotLoaded`` if nobody looked yet."""
    if session_id not in user.ended:
        raise NotLoaded(Aggregate.ENDED_SESSION, session_id)
    return user.ended[session_id]


def decide_start(user: User, command: StartSession, context: Context) -> Decision:
    library = library_of(user)
    if command.product_id not in library.items:
        return (), Refused("LIBRARY_ITEM_NOT_FOUND", "the product is not in the library")
    events: list[Event] = []
    live: list[LiveSession] = []
    books = Books(library, context)
    for session in user.live:
        if is_silent(session, context):
            events.append(books.end(session, session.last_heartbeat_at, "timeout"))
        elif session.product_id != command.product_id:
            live.append(session)
        elif session.device_id == command.device_id:
            return events, SessionIsLive(replace(session, counted_elsewhere=()), resumed=True)
        else:
            events.append(books.end(session, session.last_heartbeat_at, "takeover"))
    if len(live) >= context.policy.max_live_sessions:
        events.extend(_limit_anomaly(user, command.product_id, context))
        return events, Refused("LIVE_SESSION_LIMIT_REACHED", f"{len(live)} sessions are live")
    session = LiveSession(
        session_id=SessionId(context.new_id()),
        product_id=command.product_id,
        started_at=context.now,
        last_heartbeat_at=context.now,
        interval_s=context.interval_s,
        device_id=command.device_id,
        platform=command.platform,
    )
    events.append(SessionStarted(session, library.items[command.product_id].is_hidden))
    return events, SessionIsLive(session, resumed=False)


def decide_heartbeat(user: User, command: Heartbeat, context: Context) -> Decision:
    session = live_session(user, command.session_id)
    if session is None:
        if ended_session(user, command.session_id) is None:
            return (), Refused("SESSION_NOT_FOUND")
        return (), Refused("SESSION_ENDED")
    if is_silent(session, context):
        ended = Books(library_of(user), context).end(session, session.last_heartbeat_at, "timeout")
        return [ended], Refused("SESSION_ENDED")
    since_last = context.now - session.last_heartbeat_at
    if since_last * TOO_FAST_DIVISOR < session.interval_s * SECOND:
        answer = HeartbeatCounted(session.last_heartbeat_at, session.interval_s)
        if session.too_fast:
            return (), answer
        return [_too_fast(session, context)], answer
    return (
        (HeartbeatAccepted(session.session_id, context.now, context.interval_s),),
        HeartbeatCounted(context.now, context.interval_s),
    )


def decide_end(user: User, command: EndSession, context: Context) -> Decision:
    session = live_session(user, command.session_id)
    if session is None:
        ended = ended_session(user, command.session_id)
        return (), Refused("SESSION_NOT_FOUND") if ended is None else _is_over(ended)
    books = Books(library_of(user), context)
    if is_silent(session, context):
        event = books.end(session, session.last_heartbeat_at, "timeout")
    else:
        event = books.end(session, context.now, "client")
    return [event], _is_over(_ended(session, event))


def decide_expire(user: User, _command: ExpireSessions, context: Context) -> Decision:
    silent = [session for session in user.live if is_silent(session, context)]
    if not silent:
        return (), Done(changed=False)
    books = Books(library_of(user), context)
    return [books.end(session, session.last_heartbeat_at, "timeout") for session in silent], Done()


def decide_list_live(user: User, _command: ListLiveSessions, context: Context) -> Decision:
    """Sessions whose time is over are not shown as live, also before the timer has ended them."""
    return (), LiveSessions([session for session in user.live if not is_silent(session, context)])


def evolve_started(user: User, event: SessionStarted) -> User:
    session = event.session
    library = user.library
    if library is not None and (item := library.items.get(session.product_id)) is not None:
        played = replace(item, last_played_at=session.started_at, updated_at=session.started_at)
        items = {**library.items, session.product_id: played}
        library = replace(library, items=items)
    return replace(user, live=(*user.live, session), library=library)


def evolve_heartbeat(user: User, event: HeartbeatAccepted) -> User:
    live = [
        replace(session, last_heartbeat_at=event.at, interval_s=event.interval_s, too_fast=False)
        if session.session_id == event.session_id
        else session
        for session in user.live
    ]
    return replace(user, live=tuple(live), last_event_at=max(event.at, user.last_event_at))


def evolve_ended(user: User, event: SessionEnded) -> User:
    library = library_of(user)
    session = live_session(user, event.session_id)
    if session is None:
        raise ValueError("a session that is not live cannot end")
    if (item := library.items.get(event.product_id)) is not None:
        library = replace(library, items={**library.items, event.product_id: _played(item, event)})
    elif (gone := library.removed.get(event.product_id)) is not None:
        kept = replace(gone, item=_played(gone.item, event))
        library = replace(library, removed={**library.removed, event.product_id: kept})
    return replace(
        user,
        live=tuple(other for other in user.live if other is not session),
        ended={**user.ended, event.session_id: _ended(session, event)},
        library=library,
    )


def evolve_anomaly(user: User, event: AnomalyRecorded) -> User:
    anomaly = event.anomaly
    if anomaly.kind == "live_session_limit":
        return replace(user, limit_recorded_at=anomaly.at)
    live = tuple(
        replace(session, too_fast=True) if session.session_id == anomaly.session_id else session
        for session in user.live
    )
    return replace(user, live=live)


def _played(item: LibraryItem, event: SessionEnded) -> LibraryItem:
    """Offline play may have ended later than a live session that was cut off before it."""
    return replace(
        item,
        total_playtime_s=event.total_playtime_s,
        last_ended_at=max(item.last_ended_at or Micros(0), event.ended_at),
        updated_at=Micros(max(item.updated_at, event.ended_at, event.decided_at)),
    )


class Books:
    """Totals of one decision: several sessions may end in it. What was taken back goes on being counted (R-LIB-8)."""

    def __init__(self, library: Library, context: Context) -> None:
        self._library = library
        self._now = context.now
        self._totals: dict[ProductId, int] = {}

    def end(self, session: LiveSession, at: Micros, reason: EndReason) -> SessionEnded:
        """The end of the session at ``at``, with the item's new total."""
        product_id = session.product_id
        item = self._item(product_id)
        duration_us = max(0, at - session.started_at)
        if session.counted_elsewhere:
            duration_us -= measure(within(session.counted_elsewhere, (session.started_at, at)))
        duration_s = duration_us // SECOND
        before = self._totals.get(product_id, 0 if item is None else item.total_playtime_s)
        total = self._totals[product_id] = before + duration_s
        is_hidden = item is not None and item.is_hidden
        return SessionEnded(session.session_id, product_id, at, duration_s, reason, total, is_hidden, self._now)

    def _item(self, product_id: ProductId) -> LibraryItem | None:
        if (item := self._library.items.get(product_id)) is not None:
            return item
        gone = self._library.removed.get(product_id)
        return None if gone is None else gone.item


def _ended(session: LiveSession, event: SessionEnded) -> EndedSession:
    return EndedSession(
        session_id=session.session_id,
        product_id=session.product_id,
        started_at=session.started_at,
        last_heartbeat_at=max(session.last_heartbeat_at, event.ended_at),
        interval_s=session.interval_s,
        ended_at=event.ended_at,
        duration_s=event.duration_s,
        end_reason=event.reason,
        device_id=session.device_id,
        platform=session.platform,
        counted_elsewhere=within(session.counted_elsewhere, (session.started_at, event.ended_at)),
    )


def _is_over(session: EndedSession) -> SessionIsOver:
    """Without the pieces of its time, which can be many and are the tables' business: an answer may be stored."""
    return SessionIsOver(replace(session, counted_elsewhere=()))


def _too_fast(session: LiveSession, context: Context) -> AnomalyRecorded:
    return AnomalyRecorded(
        Anomaly(context.new_id(), "heartbeat_too_fast", context.now, session.product_id, session.session_id)
    )


def _limit_anomaly(user: User, product_id: ProductId, context: Context) -> list[Event]:
    """Refused starts are recorded at most once a heartbeat interval, so that refusing costs no commit."""
    if user.limit_recorded_at and context.now - user.limit_recorded_at < context.policy.heartbeat_interval_s * SECOND:
        return []
    return [AnomalyRecorded(Anomaly(context.new_id(), "live_session_limit", context.now, product_id))]
