"""One user's actor by hand: commands in, answers out, at a time the test sets."""

from itertools import count

from msgspec.structs import replace

from actors.domain.commands import AddPurchase, Command
from actors.domain.context import Context, Policy
from actors.domain.events import Event
from actors.domain.ids import SECOND, CommandId, Micros, OrderId, ProductId
from actors.domain.model import Library, NotLoaded, User
from actors.domain.replies import Answer
from actors.domain.user import decide_once, evolve

START = Micros(1_700_000_000 * SECOND)


def an_id(number: int) -> bytes:
    """A recognisable id."""
    return number.to_bytes(16, "big")


GAME = ProductId(an_id(0xA))
OTHER_GAME = ProductId(an_id(0xB))


class Actor:
    """Everything is loaded from the start; ``ended`` look-ups of unknown sessions find nothing."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.user = User(library=Library(), commands={})
        self.events: list[Event] = []
        self.now = START
        self.heard_since = Micros(0)
        self.interval_s = 60
        self.policy = policy or Policy()
        self._ids = count(1_000)

    def passes(self, seconds: float) -> None:
        self.now = Micros(self.now + int(seconds * SECOND))

    def owns(self, *products: ProductId, order: int = 1) -> None:
        self.ask(AddPurchase(OrderId(an_id(order)), products, self.now))

    def ask(self, command: Command, command_id: CommandId | None = None) -> Answer:
        while True:
            try:
                events, answer = decide_once(self.user, command, command_id, self._context())
                break
            except NotLoaded as missing:
                self.user = self._without(missing)
        for event in events:
            self.user = evolve(self.user, event)
        self.events.extend(events)
        return answer

    def happened(self, kind: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def total(self, product: ProductId = GAME) -> int:
        assert self.user.library is not None
        return self.user.library.items[product].total_playtime_s

    def _without(self, missing: NotLoaded) -> User:
        assert missing.session_id is not None
        return replace(self.user, ended={**self.user.ended, missing.session_id: None})

    def _context(self) -> Context:
        return Context(
            self.now, self.now, self.heard_since, self.interval_s, self.policy, lambda: an_id(next(self._ids))
        )
