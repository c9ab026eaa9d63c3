"""News of products over a real Redis (R-EVT-3)."""

import asyncio

from actors.catalog import ProductUpdate
from cluster.development import NO_SERVERS
from cluster.settings import load_settings
from cluster.wiring.neighbours import redis_settings
from persistence.redis.connection import RedisCalls
from persistence.redis.product_channel import ProductChannel
from persistence.redis.products import RedisProducts


async def test_news_that_cannot_be_taken_does_not_end_the_hearing_of_others(redis_variables: dict[str, str]) -> None:
    """A bug costs what it spoils, and a line in the log; the channel is there again after a pause."""
    settings = redis_settings(load_settings({"LIBRARY_ENVIRONMENT": "development", **NO_SERVERS, **redis_variables}))
    assert settings is not None
    heard: asyncio.Queue[str] = asyncio.Queue()

    def hear(update: ProductUpdate) -> None:
        heard.put_nowait(update.product_id)
        if update.product_id == "bad":
            raise KeyError("a bug")

    calls, channel = RedisCalls(settings.open()), ProductChannel(settings, hear)
    products = RedisProducts(calls)
    channel.start()
    async with asyncio.timeout(20):
        for product_id in ("bad", "good"):
            await channel.listening.wait()
            await products.apply(ProductUpdate(product_id=product_id, updated_at=1, title="x"))
            assert await heard.get() == product_id
            while product_id == "bad" and channel.listening.is_set():  # noqa: ASYNC110  # lost, then back
                await asyncio.sleep(0)
    await channel.close()
    await calls.close()
