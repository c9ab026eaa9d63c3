"""What a rule may know besides the state and the command. No clock, no randomness: both come in here."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from msgspec import Struct

from actors.domain.ids import SECOND, Micros, ProductId
from actors.domain.listing import UNKNOWN, Card, Shelf
from actors.domain.model import LibraryItem


class Policy(Struct, frozen=True):
    """The figures the rules go by; seconds of service time."""

    heartbeat_interval_s: int = 60
    session_timeout_s: int = 300
    max_live_sessions: int = 5
    max_categories: int = 100

    def timeout_after(self, interval_s: int) -> int:
        """Microseconds of silence that end a session which was told to beat every ``interval_s`` (R-PT-10)."""
        base = self.heartbeat_interval_s
        return self.session_timeout_s * SECOND * max(base, interval_s) // base


class Titles(Protocol):
    """What is known of products' titles in this process, now; nothing here waits."""

    def card(self, product_id: ProductId) -> Card | None:
        """None while it may be worth asking the catalog; ``UNKNOWN`` when it was asked in vain."""
        ...

    def shelf(self, items: Mapping[ProductId, LibraryItem]) -> tuple[Shelf, Collection[ProductId]]:
        """The items with their cards, and which of them ``card`` would answer None for."""
        ...


class NoTitles:
    """Nothing is known, and nobody is worth asking."""

    def card(self, _product_id: ProductId) -> Card | None:
        return UNKNOWN

    def shelf(self, items: Mapping[ProductId, LibraryItem]) -> tuple[Shelf, Collection[ProductId]]:
        return Shelf(items, {}), ()


class Context(Struct, frozen=True):
    """One batch's surroundings, as seen by one shard.

    ``now`` is service time, ``real_now`` unaccelerated time (command ids live by it), ``heard_since`` the moment since
    which silence counts (see ``sessions.is_silent``), ``interval_s`` the heartbeat interval to tell clients now.
    """

    now: Micros
    real_now: Micros
    heard_since: Micros
    interval_s: int
    policy: Policy
    new_id: Callable[[], bytes]
    titles: Titles = NoTitles()
