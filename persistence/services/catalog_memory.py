"""What one process remembers of the catalog: bounded, ordered by the catalog's own time."""

from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

from actors.catalog import ProductUpdate
from persistence.services.catalog_ports import Learned


class CatalogLimits(Struct, frozen=True, kw_only=True):
    """Times in seconds. ``fresh_s``: how long an answer is not asked for again; ``negative_s``: the same for "there is
    no such product", after which it is forgotten; ``retry_s``: the same for what is stale or could not be refreshed.
    ``patience_s``: how long a caller waits for what is not remembered; at most ``max_waiting`` ids are asked for."""

    max_products: int = 50_000
    max_waiting: int = 20_000
    fresh_s: float = 300.0
    negative_s: float = 30.0
    retry_s: float = 2.0
    patience_s: float = 1.5


class Remembered:
    """One id's entry; ``fresh_until`` on the monotonic clock."""

    __slots__ = ("fresh_until", "learned")

    def __init__(self, learned: Learned, fresh_until: float) -> None:
        self.learned = learned
        self.fresh_until = fresh_until


class CatalogMemory:
    """``generation`` rises whenever a product that is shown changes."""

    def __init__(self, limits: CatalogLimits, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._entries: OrderedDict[str, Remembered] = OrderedDict()
        self.generation = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, product_id: str) -> Remembered | None:
        return self._entries.get(product_id)

    def usable(self, entry: Remembered) -> bool:
        """A product may be shown however old; that there is none may be said for a short time alone."""
        return entry.learned.product is not None or self._now() < entry.fresh_until

    def learn(self, product_id: str, learned: Learned) -> Learned:
        """What is known now: what is newer by the catalog's time stays. The one learned longest ago makes room."""
        known = self._entries.get(product_id)
        if known is not None and known.learned.as_of > learned.as_of and self.usable(known):
            learned = known.learned
        before = None if known is None else known.learned.product
        if before != learned.product:
            self.generation += 1
        self._entries[product_id] = Remembered(learned, self._fresh_until(learned))
        self._entries.move_to_end(product_id)
        if len(self._entries) > self._limits.max_products:
            self._entries.popitem(last=False)
        return learned

    def hear(self, update: ProductUpdate) -> None:
        """Patches what is known; what was said not to exist is forgotten."""
        known = self._entries.get(update.product_id)
        if known is None or known.learned.as_of >= update.updated_at:
            return
        if known.learned.product is None:
            del self._entries[update.product_id]
        else:
            self.learn(update.product_id, known.learned.updated(update))

    def leave_for_a_while(self, product_id: str) -> None:
        """It is to be asked for again, but not at once."""
        if (known := self._entries.get(product_id)) is not None and known.learned.product is not None:
            known.fresh_until = self._now() + self._limits.retry_s

    def _fresh_until(self, learned: Learned) -> float:
        if learned.stale:
            return self._now() + self._limits.retry_s
        return self._now() + (self._limits.negative_s if learned.product is None else self._limits.fresh_s)
