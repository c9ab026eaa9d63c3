"""What one user's clients were told, and the contradictions in it.

Only what was acknowledged counts. Every answer is held against those before it: an end that is answered in two ways,
a read that is older than an acknowledged write (promise 5), a session that was ended although its client was beating
(R-PT-3, R-PT-9).
"""

from collections.abc import Callable, Iterable, Mapping, Set

from msgspec import Struct, field

from actors.domain.ids import CommandId, Micros, ProductId, SessionId, UserId
from cluster.verdict.shelf import Shelf


class End(Struct, frozen=True, kw_only=True):
    """How a session ended, as an answer or a row has it. Seconds are whole."""

    ended_at: Micros
    duration_s: int
    reason: str


class Told(Struct, kw_only=True, eq=False):
    """What a client knows of one session. ``last_accepted`` is in service time.

    ``may_have_ended``: the client has given the service a reason to end it (it left, another device started).
    """

    session_id: SessionId
    product_id: ProductId
    device_id: str
    started_at: Micros
    last_accepted: Micros
    ended: End | None = None
    refused_as_ended: bool = False
    may_have_ended: bool = False
    command_id: CommandId | None = None

    @property
    def must_be_live(self) -> bool:
        return self.ended is None and not self.refused_as_ended and not self.may_have_ended


class Brought(Struct, frozen=True, kw_only=True):
    """An offline session that the service took, and what it credited."""

    product_id: ProductId
    started_at: Micros
    ended_at: Micros
    credited_s: int


class Known(Struct, frozen=True, kw_only=True):
    """What was acknowledged before a read was sent: no answer may show less."""

    totals: Mapping[ProductId, int]
    played: Set[ProductId]
    over: Set[SessionId]
    live: Mapping[SessionId, Micros]


class History(Struct, kw_only=True, eq=False):
    """One user's answers. ``violations`` are worded; ``now`` says when, for their text.

    ``products`` are bought for sure, ``starts`` and ``offline_wanted`` were wanted: the service may not have made more
    sessions. ``shelf`` is the library beside play; what its methods find wrong goes to ``all_wrong``.
    ``final_totals`` is what a listing said when everything was at rest, if one was asked for.
    """

    user_id: UserId
    name: str
    now: Callable[[], float]
    products: list[ProductId] = field(default_factory=list)
    sessions: dict[SessionId, Told] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    starts: int = 0
    offline_wanted: int = 0
    brought: dict[SessionId, Brought] = field(default_factory=dict)
    shelf: Shelf = field(default_factory=Shelf)
    final_totals: Mapping[ProductId, int] | None = None

    def all_wrong(self, problems: Iterable[str]) -> None:
        for what in problems:
            self.wrong(what)

    def wrong(self, what: str) -> None:
        self.violations.append(f"{self.now():.3f} {self.name}: {what}")

    def started(self, *, session_id: SessionId, product_id: ProductId, device_id: str, started_at: Micros) -> Told:
        """A start was answered with this session, a new one or the one the device already had."""
        told = self.sessions.get(session_id)
        if told is None:
            told = self.sessions[session_id] = Told(
                session_id=session_id,
                product_id=product_id,
                device_id=device_id,
                started_at=started_at,
                last_accepted=started_at,
            )
        elif told.ended is not None:
            self.wrong("a start was answered with a session whose end was acknowledged")
        elif told.started_at != started_at:
            self.wrong("a session's start was answered in two ways")
        return told

    def other_device_starts(self, product_id: ProductId, device_id: str) -> None:
        """A start by another device is on its way: it may take over what is played of this product."""
        for told in self.sessions.values():
            if told.product_id == product_id and told.device_id != device_id:
                told.may_have_ended = True

    def beat_counted(self, told: Told, at: Micros) -> None:
        if told.ended is not None or told.refused_as_ended:
            self.wrong("a session beats on after its end was acknowledged")
        if at < told.last_accepted:
            self.wrong("a beat was accepted at an earlier time than the one before")
        told.last_accepted = max(told.last_accepted, at)

    def beat_refused_as_ended(self, told: Told) -> None:
        told.refused_as_ended = True
        if not told.may_have_ended and told.ended is None:
            self.wrong("a session that was beating was ended")

    def end_answered(self, told: Told, end: End) -> None:
        if told.ended is not None and told.ended != end:
            self.wrong("an end was answered in two ways")
        if end.reason == "timeout" and not told.may_have_ended:
            self.wrong("a session that was beating was timed out")
        if end.ended_at < told.last_accepted:
            self.wrong("an end was answered with a time before the last acknowledged beat")
        told.ended = end

    def offline_taken(self, session_id: SessionId, taken: Brought) -> None:
        """An offline session was answered with what it is credited with, now or again."""
        if self.brought.setdefault(session_id, taken) != taken:
            self.wrong("an offline session was credited in two ways")

    def before_reading(self) -> Known:
        totals: dict[ProductId, int] = {}
        for taken in self.brought.values():
            totals[taken.product_id] = totals.get(taken.product_id, 0) + taken.credited_s
        for told in self.sessions.values():
            if told.ended is not None:
                totals[told.product_id] = totals.get(told.product_id, 0) + told.ended.duration_s
        return Known(
            totals=totals,
            played={told.product_id for told in self.sessions.values()},
            over={told.session_id for told in self.sessions.values() if told.ended is not None},
            live={told.session_id: told.last_accepted for told in self.sessions.values() if told.must_be_live},
        )

    def saw_items(self, known: Known, totals: Mapping[ProductId, int]) -> None:
        """A listing of all items was answered."""
        if not known.played <= totals.keys():
            self.wrong("a read lacks an item that was played")
        if any(totals.get(product, -1) < seconds for product, seconds in known.totals.items()):
            self.wrong("a read shows less play than was acknowledged")

    def saw_copy(self, before: Micros, totals: Mapping[ProductId, int], played: Mapping[ProductId, int]) -> None:
        """A listing was answered from a copy that says to hold all that was acknowledged before ``before``; ``played``
        are the last starts, in service time. What ended by itself was not acknowledged at the time of its end."""
        expected: dict[ProductId, int] = {}
        for told in self.sessions.values():
            if told.started_at < before and played.get(told.product_id, -1) < told.started_at:
                self.wrong("a copy lacks a start that was acknowledged before it")
            if told.ended is not None and told.ended.reason == "client" and told.ended.ended_at < before:
                expected[told.product_id] = expected.get(told.product_id, 0) + told.ended.duration_s
        if any(totals.get(product_id, -1) < seconds for product_id, seconds in expected.items()):
            self.wrong("a copy shows less play than was acknowledged before it")

    def saw_total(self, known: Known, total_s: int) -> None:
        """Statistics were answered: the sum of all completed sessions."""
        if total_s < sum(known.totals.values()):
            self.wrong("statistics show less play than was acknowledged")

    def saw_live(self, known: Known, last_beats: Mapping[SessionId, Micros | None], told: Told | None = None) -> None:
        """The live sessions were answered, with their last beats where the answer has them. ``told``: one that its
        client, which asks, keeps beating."""
        if known.over & last_beats.keys():
            self.wrong("a read shows a session as live whose end was acknowledged")
        for session_id, acknowledged in known.live.items():
            last_beat = last_beats.get(session_id)
            if last_beat is not None and last_beat < acknowledged:
                self.wrong("a read does not show an acknowledged beat")
        if told is None or told.session_id not in known.live or not told.must_be_live:
            return
        if told.session_id not in last_beats:
            self.wrong("a read does not show a live session")
