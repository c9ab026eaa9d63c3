"""The outbox relay: publishes the outbox's rows in order, and deletes them once Kafka has committed them (R-EVT-2).

::

    standing by -> leading -> (any failure) -> standing by

One relay leads, by the queue's lock; a former one that does not know it yet is fenced by Kafka when the next opens its
producer, which is why it is opened after the lock was taken. A crash between Kafka's commit and the delete sends the
batch again: duplicates, with the same ids.

Rows are read from the lowest key of a shard on, never from a remembered place in it: a transaction that commits late
cannot be skipped. Pages go round the shards, so that a busy shard cannot starve the next.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from msgspec import Struct

from actors.backoff import Backoff
from actors.domain.ids import ShardId, format_id
from actors.formats import Formats
from actors.ports import OutboxRow, StoreUnavailable
from actors.relay.cloudevent import CONTENT_TYPE
from actors.relay.metrics import RelayMetrics
from actors.relay.ports import Message, OutboxQueue, Producer, PublishFailed
from actors.release import release_formats

log = logging.getLogger(__name__)

_HEADERS = (("content-type", CONTENT_TYPE.encode()),)
_FIRST_SHARD = ShardId(0)


class UnreadableOutbox(Exception):
    """A row of a newer release. It stays where it is; a relay of that release publishes it."""

    def __init__(self, version: int) -> None:
        super().__init__(f"an outbox row of version {version}")
        self.version = version


class RelayLimits(Struct, frozen=True, kw_only=True):
    """``poll_s``: how long an event waits at most when nothing else is to do. ``standby_s``: how often a second relay
    asks whether it may lead."""

    batch_rows: int = 1_000
    poll_s: float = 0.2
    standby_s: float = 1.0
    first_retry_s: float = 0.2
    max_retry_s: float = 5.0


class OutboxRelay:
    """Runs until it is stopped; the absence of Kafka or Postgres is waited out."""

    def __init__(
        self,
        queue: OutboxQueue,
        open_producer: Callable[[], Producer],
        *,
        metrics: RelayMetrics,
        random: Callable[[], float],
        limits: RelayLimits | None = None,
        formats: Formats | None = None,
    ) -> None:
        """``formats``: this release's, unless the process shares its own."""
        self._formats = formats or release_formats()
        self._queue = queue
        self._open_producer = open_producer
        self._metrics = metrics
        self._limits = limits or RelayLimits()
        self._backoff = Backoff(first_s=self._limits.first_retry_s, cap_s=self._limits.max_retry_s, random=random)
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        while not self._stopping.is_set():
            try:
                if await self._queue.acquire():
                    await self._lead()
                else:
                    await self._pause(self._limits.standby_s)
            except (StoreUnavailable, PublishFailed) as error:
                self._metrics.failures += 1
                log.warning("the outbox relay tries again", extra={"error": repr(error)})
                await self._pause(self._backoff.next_s())
            finally:
                self._metrics.leading = 0
                await self._queue.release()

    def stop(self) -> None:
        """The batch under way is finished."""
        self._stopping.set()

    async def _lead(self) -> None:
        producer = self._open_producer()
        try:
            await producer.open()
            self._metrics.leading = 1
            await self._carry(producer)
        finally:
            await producer.close()

    async def _carry(self, producer: Producer) -> None:
        from_shard = _FIRST_SHARD
        while not self._stopping.is_set():
            page = await self._queue.read(from_shard, self._limits.batch_rows)
            self._metrics.outbox_age_s = page.oldest_age_s
            if page.rows:
                await self._publish(producer, page.rows)
            if len(page.rows) == self._limits.batch_rows:
                from_shard = ShardId(page.rows[-1].shard_id + 1)
            elif from_shard != _FIRST_SHARD:
                from_shard = _FIRST_SHARD
            else:
                await self._pause(self._limits.poll_s)

    async def _publish(self, producer: Producer, rows: Sequence[OutboxRow]) -> None:
        await producer.publish(
            [Message(key=format_id(row.user_id).encode(), value=self._message(row), headers=_HEADERS) for row in rows]
        )
        self._metrics.published += len(rows)
        self._metrics.batches += 1
        await self._queue.delete(rows)
        self._backoff.reset()

    def _message(self, row: OutboxRow) -> bytes:
        form = self._formats.readable.get(row.version)
        if form is None:
            raise UnreadableOutbox(row.version)
        return form.message_of(row.body)

    async def _pause(self, delay_s: float) -> None:
        try:
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()
        except TimeoutError:
            return
