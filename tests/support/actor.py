"""One user's actor by hand: commands in, answers out, at a time the test sets."""

from collections.abc import Iterable
from itertools import count

from msgspec.structs import replace

from actors.domain.commands import AddPurchase, Command
from actors.domain.context import Context, Policy
from actors.domain.events import Event
from actors.domain.ids import SECOND, CommandId, Micros, OrderId, ProductId, SessionId
from actors.domain.model import EndedSession, Library, NotLoaded, User
from actors.domain.replies import Answer
from actors.domain.spans import Span, Spans, day_span, union, within
from actors.domain.user import decide_once, evolve
from actors.loading import with_ended, with_past

START = Micros(1_700_000_000 * SECOND)


def an_id(number: int) -> bytes:
    """A recognisable id."""
    return number.to_bytes(16, "big")


GAME = ProductId(an_id(0xA))
OTHER_GAME = ProductId(an_id(0xB))


class Actor:
    """The library and the command ids are loaded from the start. What ended stays in memory until ``leaves_memory``;
    from then on the look-ups of a rule find it in what the tables would show, and nothing else."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.user = User(library=Library(), commands={})
        self.events: list[Event] = []
        self.now = START
        self.heard_since = Micros(0)
        self.interval_s = 60
        self.policy = policy or Policy()
        self._ids = count(1_000)
        self._tables: dict[SessionId, EndedSession] = {}
        self.loads: list[NotLoaded] = []

    def passes(self, seconds: float) -> None:
        self.now = Micros(self.now + int(seconds * SECOND))

    def owns(self, *products: ProductId, order: int = 1) -> None:
        self.ask(AddPurchase(OrderId(an_id(order)), products, self.now))

    def ask(self, command: Command, command_id: CommandId | None = None) -> Answer:
        for _ in range(10):
            try:
                events, answer = decide_once(self.user, command, command_id, self._context())
                break
            except NotLoaded as missing:
                self.user = self._without(missing)
        else:
            raise AssertionError("a command asks again and again for what was loaded")
        for event in events:
            self.user = evolve(self.user, event)
        self.events.extend(events)
        return answer

    def leaves_memory(self) -> None:
        """As an idle user does, whose rows are flushed (``actors.residents``)."""
        self._tables.update({one.session_id: one for one in self.user.ended.values() if one is not None})
        self.user = replace(self.user, ended={}, past=None)

    def happened(self, kind: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def total(self, product: ProductId = GAME) -> int:
        assert self.user.library is not None
        return self.user.library.items[product].total_playtime_s

    def ended_session(self, session_id: SessionId) -> EndedSession:
        """In memory or not."""
        session = self.user.ended.get(session_id) or self._tables[session_id]
        assert session is not None
        return session

    def _without(self, missing: NotLoaded) -> User:
        self.loads.append(missing)
        if missing.past is not None:
            known = {one: self._tables[one] for one in missing.past.sessions if one in self._tables}
            return with_past(missing.past, known, self._counted(missing.past.days))(self.user)
        assert missing.session_id is not None
        return with_ended(missing.session_id, self._tables.get(missing.session_id))(self.user)

    def _counted(self, days: Iterable[int]) -> dict[ProductId, Spans]:
        found: dict[ProductId, list[Span]] = {}
        for one in self._tables.values():
            for day in days:
                found.setdefault(one.product_id, []).extend(within(((one.started_at, one.ended_at),), day_span(day)))
        return {product_id: union(spans) for product_id, spans in found.items()}

    def _context(self) -> Context:
        return Context(
            self.now, self.now, self.heard_since, self.interval_s, self.policy, lambda: an_id(next(self._ids))
        )
