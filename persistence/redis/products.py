"""What all processes know of the catalog: ``catalog:product:<id>``, a HASH of ``as_of`` and ``body``.

Kept for a day, so that titles outlive an absence of the catalog; fresh for as long as the time to live says that it was
written a short time ago. An update of a product that is not here leaves a mark, an entry without a body: a fetch that
began before the update cannot put the older state in its place.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from actors.catalog import CatalogUnavailable, Product, ProductUpdate
from persistence.redis.connection import RedisAway, RedisCalls
from persistence.services.catalog_ports import Learned, SharedUnavailable

KEY = "catalog:product:"
CHANNEL = "catalog:product-updated"
QUICK_S = 0.1
"""A page waits 0.3 s for titles that its process does not know: a Redis that stands still must leave time to ask the
catalog itself."""

READ = """
local found = {}
for i, key in ipairs(KEYS) do
    local entry = redis.call('HMGET', key, 'as_of', 'body')
    found[i] = {entry[1], entry[2], redis.call('PTTL', key)}
end
return found
"""

WRITE = """
local outrun = {}
for i, key in ipairs(KEYS) do
    local as_of, body, ttl = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
    local known = redis.call('HGET', key, 'as_of')
    if known and tonumber(known) > tonumber(as_of) then
        outrun[#outrun + 1] = i
    else
        redis.call('HSET', key, 'as_of', as_of, 'body', body)
        redis.call('PEXPIRE', key, ttl)
    end
end
return outrun
"""


class SharedTimes(Struct, frozen=True, kw_only=True):
    """How long an entry is kept, is fresh, says that there is no such product, and marks an update; milliseconds."""

    keep_ms: int = 86_400_000
    fresh_ms: int = 300_000
    negative_ms: int = 30_000
    mark_ms: int = 60_000


_encode = msgspec.msgpack.Encoder().encode
_product = msgspec.msgpack.Decoder(Product | None)


class RedisProducts:
    """The ports ``SharedProducts`` and ``ProductUpdates``."""

    def __init__(self, calls: RedisCalls, times: SharedTimes | None = None) -> None:
        self._calls = calls
        self._times = times or SharedTimes()
        self._read = calls.client.register_script(READ)
        self._write = calls.client.register_script(WRITE)

    async def read(self, product_ids: Sequence[str]) -> Mapping[str, Learned]:
        try:
            found = await self._calls.run(
                lambda _: self._read(keys=[KEY + one for one in product_ids]), within_s=QUICK_S
            )
        except RedisAway as away:
            raise SharedUnavailable from away
        fresh_above = self._times.keep_ms - self._times.fresh_ms
        learned: dict[str, Learned] = {}
        for product_id, (as_of, body, ttl_ms) in zip(product_ids, found, strict=True):
            if not as_of or not body:
                continue
            try:
                product = _product.decode(body)
            except msgspec.MsgspecError:
                continue  # of another release: as good as absent, and soon replaced
            stale = product is not None and ttl_ms <= fresh_above
            learned[product_id] = Learned(product=product, as_of=int(as_of), stale=stale)
        return learned

    async def write(self, learned: Mapping[str, Learned]) -> frozenset[str]:
        product_ids = list(learned)
        arguments: list[int | bytes] = []
        for one in learned.values():
            arguments += (one.as_of, _encode(one.product), self._ttl_ms(one))
        try:
            outrun = await self._calls.run(
                lambda _: self._write(keys=[KEY + one for one in product_ids], args=arguments), within_s=QUICK_S
            )
        except RedisAway as away:
            raise SharedUnavailable from away
        return frozenset(product_ids[place - 1] for place in outrun)

    async def apply(self, update: ProductUpdate) -> None:
        """Written first, then told: who hears of it finds it."""
        try:
            known = (await self.read([update.product_id])).get(update.product_id)
            if known is not None and known.product is not None:
                await self.write({update.product_id: known.updated(update)})
            else:
                await self._calls.run(lambda _: self._mark(update))
            await self._calls.run(lambda redis: self._publish(redis, update))
        except (SharedUnavailable, RedisAway) as away:
            raise CatalogUnavailable(1.0) from away

    async def _mark(self, update: ProductUpdate) -> None:
        arguments: list[int | bytes] = [update.updated_at, b"", self._times.mark_ms]
        await self._write(keys=[KEY + update.product_id], args=arguments)

    @staticmethod
    async def _publish(redis: Redis, update: ProductUpdate) -> None:
        await redis.publish(CHANNEL, _encode(update))

    def _ttl_ms(self, one: Learned) -> int:
        if one.product is None:
            return self._times.negative_ms
        return self._times.keep_ms - (self._times.fresh_ms if one.stale else 0)
