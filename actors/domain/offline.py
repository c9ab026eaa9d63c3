"""Offline play: finished sessions that a client recorded while nobody heard it (R-PT-6).

What a session is credited with is the part of its time that no other session of the same user and product counts, so a
product's total is the measure of the union of its sessions, less what whole seconds cut off. The other sessions are
those that ended (in the tables for the days in question, in memory since), and of a live one the time from its start to
its last beat. What of a live session's future was played offline is noted in it, and not counted again when it ends.

The row is the memory: its id is made of the user and the client's UUID, so that a session which comes again is known
for ever, and nobody can take the id of another user's session.
"""

from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256

from msgspec.structs import replace

from actors.domain.commands import AddOfflineSessions, OfflinePlay
from actors.domain.context import Context
from actors.domain.events import Event, OfflinePlayed
from actors.domain.ids import SECOND, ClientSessionId, Micros, ProductId, SessionId, UserId
from actors.domain.library import library_of
from actors.domain.model import Aggregate, EndedSession, LibraryItem, LiveSession, NotLoaded, Past, PastQuery, User
from actors.domain.replies import Answer, OfflineRefusal, OfflineResult, OfflineResults
from actors.domain.spans import DAY_US, Span, Spans, day_span, days_of, measure, minus, union, with_span, within

Decision = tuple[Sequence[Event], Answer]

MAX_SESSIONS = 100
"""In one command."""
MAX_LENGTH_US = 7 * DAY_US
"""Of one session: what has to be looked at for it is bounded."""
MAX_PIECES = 500
"""Into which one session may be cut by others."""
MAX_COUNTED_SPANS = 1_000
"""So many pieces of a user's past are looked at in one go: a command must not keep a host's loop busy."""


def offline_session_id(user_id: UserId, client_id: ClientSessionId) -> SessionId:
    """The id under which the session is kept: nobody else's, whatever UUID a client makes up."""
    return SessionId(sha256(b"offline" + user_id + client_id).digest()[:16])


def decide_offline(user: User, command: AddOfflineSessions, context: Context) -> Decision:
    """One result a session, in order; each sees those before it."""
    library_of(user)
    ledger = _Ledger(user, _past_for(user, command, context))
    events: list[Event] = []
    results: list[OfflineResult] = []
    for play in command.sessions:
        outcome = _decide_one(play, ledger, context)
        if isinstance(outcome, OfflinePlayed):
            ledger.add(outcome)
            events.append(outcome)
            outcome = outcome.session.duration_s
        results.append(outcome)
    return events, OfflineResults(tuple(results))


def evolve_offline(user: User, event: OfflinePlayed) -> User:
    session = event.session
    library = user.library
    if library is not None and (item := library.items.get(session.product_id)) is not None:
        played = replace(
            item,
            total_playtime_s=event.total_playtime_s,
            last_played_at=max(item.last_played_at or Micros(0), session.started_at),
            last_ended_at=max(item.last_ended_at or Micros(0), session.ended_at),
            updated_at=max(item.updated_at, event.decided_at),
        )
        library = replace(library, items={**library.items, session.product_id: played})
    live = user.live
    if event.live_session_id is not None:
        live = tuple(_shared(one, session) if one.session_id == event.live_session_id else one for one in live)
    return replace(user, live=live, ended={**user.ended, session.session_id: session}, library=library)


def _shared(live: LiveSession, session: EndedSession) -> LiveSession:
    """The live session, which from now on leaves to the offline one what that was credited with."""
    return replace(live, counted_elsewhere=union([*live.counted_elsewhere, *_after_start(live, session)]))


def _after_start(live: LiveSession, session: EndedSession) -> Spans:
    """What the offline session was credited with of the time that the live one may still come to count."""
    credited = minus((session.started_at, session.ended_at), session.counted_elsewhere)
    return within(credited, (live.started_at, max(live.started_at, session.ended_at)))


def _decide_one(play: OfflinePlay, ledger: "_Ledger", context: Context) -> OfflinePlayed | OfflineResult:
    """The event, or the seconds that were credited before, or why not."""
    if (refusal := _impossible(play, context)) is not None:
        return refusal
    if (recorded := ledger.recorded[play.session_id]) is not None:
        return recorded.duration_s if _is_same(recorded, play) else "id_reused"
    if (item := ledger.items.get(play.product_id)) is None:
        return "not_owned"
    if play.started_at < ledger.acquired_at(item):
        return "before_acquisition"
    if ledger.too_much:
        return "too_fragmented"
    span = (play.started_at, play.ended_at)
    taken = ledger.counted(span, play.product_id)
    credited = minus(span, taken)
    if ledger.is_full_with(credited):
        return "day_full"
    session = EndedSession(
        session_id=play.session_id,
        product_id=play.product_id,
        started_at=play.started_at,
        last_heartbeat_at=play.ended_at,
        interval_s=context.policy.heartbeat_interval_s,
        ended_at=play.ended_at,
        duration_s=measure(credited) // SECOND,
        end_reason="client",
        device_id=play.device_id,
        platform=play.platform,
        counted_elsewhere=taken,
        client_id=play.client_id,
    )
    live = ledger.live.get(play.product_id)
    shared = live if live is not None and _after_start(live, session) else None
    if len(taken) > MAX_PIECES or (shared is not None and len(shared.counted_elsewhere) > MAX_PIECES):
        return "too_fragmented"
    total = ledger.totals[play.product_id] + session.duration_s
    live_session_id = None if shared is None else shared.session_id
    return OfflinePlayed(session, total, live_session_id, item.is_hidden, context.now)


def _is_same(recorded: EndedSession, play: OfflinePlay) -> bool:
    return (recorded.product_id, recorded.started_at, recorded.ended_at) == (
        play.product_id,
        play.started_at,
        play.ended_at,
    )


def _impossible(play: OfflinePlay, context: Context) -> OfflineRefusal | None:
    """What can be told without knowing the user. A session that is recorded is never impossible: time goes on.

    One without a whole second counts nothing, and would cut the time of others into pieces.
    """
    if play.ended_at - play.started_at < SECOND:
        return "not_positive"
    if play.ended_at > context.now:
        return "in_future"
    return "too_long" if play.ended_at - play.started_at > MAX_LENGTH_US else None


def _past_for(user: User, command: AddOfflineSessions, context: Context) -> Past:
    """The user's past on the days of the command. Not the whole history, which grows with a life: ``NotLoaded`` names
    the days, and the sessions that may have come before: all that are not known to have, because a load forgets what
    was found to be nobody's before it."""
    possible = [play for play in command.sessions if _impossible(play, context) is None]
    days = sorted({day for play in possible for day in days_of((play.started_at, play.ended_at))})
    past = user.past or Past(frozenset())
    if not past.days.issuperset(days) or any(play.session_id not in user.ended for play in possible):
        unknown = dict.fromkeys(play.session_id for play in possible if user.ended.get(play.session_id) is None)
        raise NotLoaded(Aggregate.PAST, past=PastQuery(tuple(days), tuple(unknown)))
    return past


class _Ledger:
    """What the sessions of one command are decided on, brought up to date by each that is taken.

    The time that is counted, by product, is what the tables showed and what is in memory since. A session that is in
    both is there once, because a union does not count.
    """

    def __init__(self, user: User, past: Past) -> None:
        self.items = library_of(user).items
        self.totals = {product: item.total_playtime_s for product, item in self.items.items()}
        self.recorded = dict(user.ended)
        self.live = {live.product_id: live for live in user.live}
        self._grounds = library_of(user).acquisitions
        self._counted = self._all_counted(user, past)
        self._played: dict[int, int] = {}
        for known in (self._counted or {}).values():
            self._count_by_day(known)

    @staticmethod
    def _all_counted(user: User, past: Past) -> dict[ProductId, Spans] | None:
        """None when there is more than can be looked at."""
        if past.counted is None:
            return None
        first, last = day_span(min(past.days, default=0))[0], day_span(max(past.days, default=0))[1]
        spans = {product: list(known) for product, known in past.counted.items()}
        ended = [one for one in user.ended.values() if one and one.started_at < last and one.ended_at > first]
        for session in ended:
            spans.setdefault(session.product_id, []).append((session.started_at, session.ended_at))
        for live in user.live:
            spans.setdefault(live.product_id, []).append((live.started_at, live.last_heartbeat_at))
        merged = {product: union(known) for product, known in spans.items()}
        return None if sum(map(len, merged.values())) > MAX_COUNTED_SPANS else merged

    @property
    def too_much(self) -> bool:
        return self._counted is None

    def acquired_at(self, item: LibraryItem) -> Micros:
        """Since when the user had the product, on whatever ground. The one that the item shows now may be a later one,
        after an upgrade or a refund; what was played before was owned all the same."""
        return min(item.added_at, self._acquired.get(item.product_id, item.added_at))

    @cached_property
    def _acquired(self) -> dict[ProductId, Micros]:
        first: dict[ProductId, Micros] = {}
        for key, ground in self._grounds.items():
            if ground.acquisition_type is not None:
                first[key.product_id] = min(ground.added_at, first.get(key.product_id, ground.added_at))
        return first

    def counted(self, span: Span, product_id: ProductId) -> Spans:
        return within((self._counted or {}).get(product_id, ()), span)

    def add(self, event: OfflinePlayed) -> None:
        session = event.session
        span = (session.started_at, session.ended_at)
        self.recorded[session.session_id] = session
        self.totals[session.product_id] = event.total_playtime_s
        if event.live_session_id is not None:
            self.live[session.product_id] = _shared(self.live[session.product_id], session)
        if self._counted is not None:
            self._counted[session.product_id] = with_span(self._counted.get(session.product_id, ()), span)
        self._count_by_day(minus(span, session.counted_elsewhere))

    def is_full_with(self, credited: Spans) -> bool:
        """Whether a UTC day would hold more than 24 hours of play, over all products."""
        days = {day for span in credited for day in days_of(span)}
        return any(self._played.get(day, 0) + measure(within(credited, day_span(day))) > DAY_US for day in days)

    def _count_by_day(self, spans: Spans) -> None:
        """Notes play of one product that was not noted yet."""
        for span in spans:
            for day in days_of(span):
                self._played[day] = self._played.get(day, 0) + measure(within((span,), day_span(day)))
