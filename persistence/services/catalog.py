"""The catalog as the service asks it: from memory, else from Redis, else from the Catalog Service; many ask, one calls.

    peek, get_many ──▶ memory ──missing or old──▶ shared (one batch at a time) ──missing or old──▶ source (the same)

A product that is remembered is answered at once, however old, and asked for again beside: a stale entry beats a wait
and an error (R-LIB-4). What is not remembered is waited for, for a bounded time.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence

from actors.batching import NaturalBatcher
from actors.catalog import CatalogUnavailable, Product, ProductUpdate
from actors.neighbours import NeighbourUnavailable
from persistence.services.catalog_client import MAX_IDS
from persistence.services.catalog_memory import CatalogLimits, CatalogMemory
from persistence.services.catalog_ports import CatalogSource, Learned, SharedProducts, SharedUnavailable

log = logging.getLogger(__name__)


class CachedCatalog:
    """The port ``Catalog``; lives on the running loop. Without ``shared`` each process asks for itself."""

    def __init__(self, *, source: CatalogSource, shared: SharedProducts | None, limits: CatalogLimits) -> None:
        self._source = source
        self._shared = shared
        self._limits = limits
        self._now = asyncio.get_running_loop().time
        self._memory = CatalogMemory(limits, self._now)
        self._asked: dict[str, asyncio.Future[Learned | None]] = {}
        self._announced: dict[str, int] = {}
        self._lookups: NaturalBatcher[str] = NaturalBatcher(self._look_up, MAX_IDS)
        self._fetches: NaturalBatcher[str] = NaturalBatcher(self._fetch, MAX_IDS)
        self._retry_after_s = 1.0

    @property
    def generation(self) -> int:
        return self._memory.generation

    def peek(self, product_id: str) -> Product | None:
        entry = self._memory.get(product_id)
        if entry is None:
            return None
        if self._now() >= entry.fresh_until:
            self._ask(product_id)
        return entry.learned.product

    async def get_many(self, product_ids: Collection[str]) -> Mapping[str, Product | None]:
        answer: dict[str, Product | None] = {}
        waiting: dict[str, asyncio.Future[Learned | None]] = {}
        for product_id in dict.fromkeys(product_ids):
            entry = self._memory.get(product_id)
            if entry is not None and self._memory.usable(entry):
                answer[product_id] = entry.learned.product
                if self._now() >= entry.fresh_until:
                    self._ask(product_id)
            elif (asked := self._ask(product_id)) is not None:
                waiting[product_id] = asked
        if waiting:
            await asyncio.wait(waiting.values(), timeout=self._limits.patience_s)
        for product_id, asked in waiting.items():
            if asked.done() and (learned := asked.result()) is not None:
                answer[product_id] = learned.product
        if product_ids and not answer:
            raise CatalogUnavailable(self._retry_after_s)
        return answer

    def hear(self, update: ProductUpdate) -> None:
        """An update that came to this process; what is being asked for right now may be older than it."""
        if update.product_id in self._asked:
            self._announced[update.product_id] = update.updated_at
        self._memory.hear(update)

    async def close(self) -> None:
        """Ends what is under way; whoever waits is told nothing."""
        await self._lookups.close()
        await self._fetches.close()
        for product_id in list(self._asked):
            self._settle(product_id)

    def _ask(self, product_id: str) -> "asyncio.Future[Learned | None] | None":
        """What will be learned of it, None if nothing; no future at all when too much is asked for already."""
        asked = self._asked.get(product_id)
        if asked is None and len(self._asked) < self._limits.max_waiting:
            asked = self._asked[product_id] = asyncio.get_running_loop().create_future()
            (self._fetches if self._shared is None else self._lookups).add(product_id)
        return asked

    async def _look_up(self, product_ids: list[str]) -> None:
        found: Mapping[str, Learned] = {}
        if self._shared is not None:
            try:
                found = await self._shared.read(product_ids)
            except SharedUnavailable:
                log.debug("the shared products cannot be read now")
        for product_id in product_ids:
            learned = found.get(product_id)
            if learned is not None:
                self._learn(product_id, learned)
            if learned is None or learned.stale:
                self._fetches.add(product_id)
            else:
                self._settle(product_id)

    async def _fetch(self, product_ids: list[str]) -> None:
        try:
            found = await self._source.fetch(product_ids)
        except NeighbourUnavailable as away:
            self._retry_after_s = away.retry_after_s
            found = {}
        for product_id in product_ids:
            if (learned := found.get(product_id)) is not None:
                self._learn(product_id, learned)
            else:
                self._memory.leave_for_a_while(product_id)
            self._settle(product_id)
        await self._share(found)

    async def _share(self, found: Mapping[str, Learned]) -> None:
        if self._shared is None or not found:
            return
        try:
            outrun = await self._shared.write(found)
        except SharedUnavailable:
            return
        for product_id in outrun:
            self._memory.leave_for_a_while(product_id)

    def _learn(self, product_id: str, learned: Learned) -> None:
        if self._announced.get(product_id, 0) > learned.as_of:
            learned = Learned(product=learned.product, as_of=learned.as_of, stale=True)
        learned = self._memory.learn(product_id, learned)
        asked = self._asked.get(product_id)
        if asked is not None and not asked.done() and (learned.product is not None or not learned.stale):
            asked.set_result(learned)

    def _settle(self, product_id: str) -> None:
        """Nothing more is coming for those who wait for it."""
        self._announced.pop(product_id, None)
        asked = self._asked.pop(product_id, None)
        if asked is not None and not asked.done():
            asked.set_result(None)


class NoCatalog:
    """The source of a service that was given no Catalog Service."""

    async def fetch(self, product_ids: Sequence[str]) -> Mapping[str, Learned]:
        raise NeighbourUnavailable("catalog", 60.0)
