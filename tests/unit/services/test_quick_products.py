"""The shared catalog entries while Redis stands still: it accepts connections and says nothing (R-LIB-4)."""

import asyncio
import socket

import pytest

from persistence.redis.connection import RedisCalls, RedisSettings
from persistence.redis.products import RedisProducts
from persistence.services.catalog_ports import Learned, SharedUnavailable


async def test_who_waits_for_a_title_does_not_wait_as_long_as_redis_may_take() -> None:
    """The catalog itself is still to be asked within the page's time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        calls = RedisCalls(RedisSettings(host="127.0.0.1", port=silent.getsockname()[1], timeout_s=60.0).open())
        products = RedisProducts(calls)
        async with asyncio.timeout(20):
            with pytest.raises(SharedUnavailable):
                await products.read(["a"])
            with pytest.raises(SharedUnavailable):
                await products.write({"a": Learned(product=None, as_of=1)})
        assert calls.failures == 2
        await calls.client.aclose()
