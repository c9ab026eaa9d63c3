"""Hears of products that changed, in every process that remembers some.

A message that is missed while Redis is away costs a title that is old for as long as the memory's entries are fresh.
"""

import asyncio
import logging
import random
from collections.abc import Callable

import msgspec
from redis.exceptions import RedisError

from actors.backoff import Backoff
from actors.catalog import ProductUpdate
from persistence.redis.connection import RedisSettings
from persistence.redis.products import CHANNEL

log = logging.getLogger(__name__)

PAUSE_S = (0.2, 5.0)
PING_EVERY_S = 10.0
_update = msgspec.msgpack.Decoder(ProductUpdate)


class ProductChannel:
    """``start`` returns at once; ``hear`` is called on the loop for each update."""

    def __init__(self, settings: RedisSettings, hear: Callable[[ProductUpdate], None]) -> None:
        self._settings = settings
        self._hear = hear
        self._task: asyncio.Task[None] | None = None
        self.listening = asyncio.Event()

    def start(self) -> None:
        self._task = asyncio.create_task(self._live(), name="product channel")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _live(self) -> None:
        first_s, cap_s = PAUSE_S
        backoff = Backoff(first_s=first_s, cap_s=cap_s, random=random.random)
        while True:
            try:
                await self._listen(backoff)
            except (RedisError, OSError, TimeoutError) as lost:
                log.info("news of products are not heard now", extra={"reason": repr(lost)})
            except Exception:  # a supervised loop: what fails is logged and tried again
                log.exception("the channel of products failed; going on")
            self.listening.clear()
            await asyncio.sleep(backoff.next_s())

    async def _listen(self, backoff: Backoff) -> None:
        client = self._settings.open()
        try:
            async with client.pubsub() as channel:
                await channel.subscribe(CHANNEL)
                silent_since = asyncio.get_running_loop().time()
                while True:
                    message = await channel.get_message(timeout=PING_EVERY_S)
                    now = asyncio.get_running_loop().time()
                    if message is None:
                        if now - silent_since > 2 * PING_EVERY_S:
                            raise TimeoutError("no answer to a ping")
                        await channel.ping()
                        continue
                    silent_since = now
                    backoff.reset()
                    if message["type"] == "subscribe":
                        self.listening.set()
                    elif message["type"] == "message":
                        self._take(message["data"])
        finally:
            await client.aclose()

    def _take(self, body: bytes) -> None:
        try:
            self._hear(_update.decode(body))
        except msgspec.MsgspecError:
            log.warning("a message about a product cannot be read")
