"""The shared products in memory, on the loop's clock: what ``persistence.redis.products`` keeps in Redis."""

import asyncio
from collections.abc import Mapping, Sequence

from actors.catalog import CatalogUnavailable, ProductUpdate
from persistence.redis.products import SharedTimes
from persistence.services.catalog_ports import Learned, SharedUnavailable


class MemorySharedProducts:
    """``entries`` holds (what is known, None for a mark; as of; until when it is fresh; until when it is kept)."""

    def __init__(self, times: SharedTimes | None = None) -> None:
        self._times = times or SharedTimes()
        self.entries: dict[str, tuple[Learned | None, int, float, float]] = {}
        self.down = False
        self.told: list[ProductUpdate] = []

    async def read(self, product_ids: Sequence[str]) -> Mapping[str, Learned]:
        await self._reach()
        found: dict[str, Learned] = {}
        for product_id in product_ids:
            learned, as_of, fresh_until, kept_until = self.entries.get(product_id, (None, 0, 0.0, 0.0))
            now = asyncio.get_running_loop().time()
            if learned is not None and now < kept_until:
                stale = learned.product is not None and now >= fresh_until
                found[product_id] = Learned(product=learned.product, as_of=as_of, stale=stale)
        return found

    async def write(self, learned: Mapping[str, Learned]) -> frozenset[str]:
        await self._reach()
        outrun = set()
        for product_id, one in learned.items():
            if self._known_as_of(product_id) > one.as_of:
                outrun.add(product_id)
                continue
            now = asyncio.get_running_loop().time()
            keep_ms = self._times.negative_ms if one.product is None else self._times.keep_ms
            fresh_ms = 0 if one.stale else self._times.fresh_ms
            self.entries[product_id] = (one, one.as_of, now + fresh_ms / 1000, now + keep_ms / 1000)
        return frozenset(outrun)

    async def apply(self, update: ProductUpdate) -> None:
        try:
            known = (await self.read([update.product_id])).get(update.product_id)
            if known is not None and known.product is not None:
                await self.write({update.product_id: known.updated(update)})
            elif self._known_as_of(update.product_id) <= update.updated_at:
                now = asyncio.get_running_loop().time()
                self.entries[update.product_id] = (None, update.updated_at, now, now + self._times.mark_ms / 1000)
        except SharedUnavailable as away:
            raise CatalogUnavailable(1.0) from away
        self.told.append(update)

    def _known_as_of(self, product_id: str) -> int:
        _, as_of, _, kept_until = self.entries.get(product_id, (None, -1, 0.0, 0.0))
        return as_of if asyncio.get_running_loop().time() < kept_until else -1

    async def _reach(self) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise SharedUnavailable
