"""The ingress: polls, hands records to their users' lanes, commits what is durable, gives partitions up when asked.

``Ingress`` lives as long as one group membership; ``keep_ingress`` makes another when Kafka was away. Nothing is lost
in between: what was not committed comes again, and doing it again changes nothing (R-EVT-3).
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Hashable, Iterable

from msgspec import Struct, field

from actors.backoff import Backoff
from actors.catalog import ProductUpdate, ProductUpdates
from actors.ingress.decoding import Decoded, Routes, decode
from actors.ingress.delivery import Deliverer, DeliveryLimits, Item
from actors.ingress.envelope import Undecodable
from actors.ingress.lanes import Lanes
from actors.ingress.metrics import IngressMetrics
from actors.ingress.ports import BrokerUnavailable, Calls, Consumer, DeadLetters, Partition, Record
from actors.ingress.window import PartitionWindow, wait_at_most

log = logging.getLogger(__name__)


class IngressLimits(Struct, frozen=True, kw_only=True):
    """A partition holds at most ``window_records`` (or ``window_bytes``) and one poll more. ``revoke_grace_s`` is how
    long a rebalance waits for attempts under way; the group's rebalance time-out must be longer."""

    window_records: int = 1_000
    window_bytes: int = 8_388_608
    poll_timeout_s: float = 0.5
    commit_interval_s: float = 0.5
    lag_interval_s: float = 5.0
    revoke_grace_s: float = 2.0
    first_reconnect_s: float = 0.2
    max_reconnect_s: float = 5.0
    delivery: DeliveryLimits = field(default_factory=DeliveryLimits)


class Ingress:
    """One membership. It is the consumer's ``Rebalance`` listener."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        calls: Calls,
        dead_letters: DeadLetters,
        products: ProductUpdates,
        where: Routes,
        limits: IngressLimits,
        metrics: IngressMetrics,
        random: Callable[[], float],
    ) -> None:
        self._consumer = consumer
        self._where = where
        self._limits = limits
        self._metrics = metrics
        self._windows: dict[Partition, PartitionWindow] = {}
        self._paused: set[Partition] = set()
        self._lanes: Lanes[Item] = Lanes(self._deliver)
        self._deliverer = Deliverer(
            calls=calls,
            dead_letters=dead_letters,
            products=products,
            limits=limits.delivery,
            metrics=metrics,
            random=random,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; then what is durable is committed. ``BrokerUnavailable`` when the membership broke."""
        work: list[asyncio.Future[None]] = [self._lanes.crashed]
        try:
            await self._consumer.start(self)
            work += [asyncio.ensure_future(part()) for part in (self._poll_loop, self._commit_loop, self._lag_loop)]
            work.append(asyncio.ensure_future(_ended(stop)))
            finished, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for part in finished:
                part.result()
        finally:
            for part in work[1:]:
                part.cancel()
            await asyncio.gather(*work[1:], return_exceptions=True)
            await self._give_up(list(self._windows.values()))
            self._windows.clear()
            self._metrics.assigned = 0
            await self._lanes.close()
            await self._consumer.stop()

    async def assigned(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            if (left := self._windows.get(partition)) is not None:
                left.close()
            self._paused.discard(partition)
            self._windows[partition] = PartitionWindow(
                partition, max_records=self._limits.window_records, max_bytes=self._limits.window_bytes
            )
        self._metrics.assigned = len(self._windows)

    async def revoked(self, partitions: Collection[Partition]) -> None:
        windows = [self._windows.pop(partition) for partition in partitions if partition in self._windows]
        self._paused.difference_update(partitions)
        self._metrics.assigned = len(self._windows)
        await self._give_up(windows)

    async def _poll_loop(self) -> None:
        while True:
            for record in await self._consumer.poll(self._limits.poll_timeout_s):
                self._take(record)
            full = [p for p, window in self._windows.items() if window.is_full and p not in self._paused]
            if full:
                self._paused.update(full)
                self._consumer.pause(full)

    def _take(self, record: Record) -> None:
        window = self._windows.get(record.partition)
        if window is None or not window.add(record):
            return
        content = self._read(record)
        self._lanes.put(_lane(content, record), Item(record=record, window=window, content=content))

    def _read(self, record: Record) -> Decoded | ProductUpdate | Undecodable:
        try:
            return decode(record, self._where)
        except Undecodable as problem:
            return problem
        except Exception as error:
            log.exception("the decoder failed", extra={"partition": record.partition, "offset": record.offset})
            return Undecodable("decoder_failed", repr(error)[:200])

    async def _deliver(self, item: Item) -> None:
        await self._deliverer.deliver(item)
        partition = item.window.partition
        if partition in self._paused and self._windows.get(partition) is item.window and item.window.has_room:
            self._paused.discard(partition)
            self._consumer.resume([partition])

    async def _commit_loop(self) -> None:
        while True:
            await asyncio.sleep(self._limits.commit_interval_s)
            await self._commit(list(self._windows.values()))

    async def _lag_loop(self) -> None:
        while True:
            try:
                behind = await self._consumer.behind()
                self._metrics.lag = behind + sum(len(window) for window in self._windows.values())
            except BrokerUnavailable:
                log.warning("the lag is not known now")
            await asyncio.sleep(self._limits.lag_interval_s)

    async def _give_up(self, windows: Collection[PartitionWindow]) -> None:
        """Stop, wait briefly, commit, drop (ARCHITECTURE.md, "Kafka")."""
        await asyncio.gather(*(window.drain(self._limits.revoke_grace_s) for window in windows))
        await self._commit(windows)
        for window in windows:
            window.close()

    async def _commit(self, windows: Iterable[PartitionWindow]) -> None:
        moved = [(window, offset) for window in windows if (offset := window.to_commit()) is not None]
        if not moved:
            return
        try:
            await self._consumer.commit({window.partition: offset for window, offset in moved})
        except BrokerUnavailable:
            self._metrics.commit_failures += 1
            return
        self._metrics.commits += 1
        for window, offset in moved:
            window.committed(offset)


async def keep_ingress(
    open_consumer: Callable[[], Consumer],
    *,
    calls: Calls,
    dead_letters: DeadLetters,
    products: ProductUpdates,
    where: Routes,
    stop: asyncio.Event,
    random: Callable[[], float],
    metrics: IngressMetrics,
    limits: IngressLimits | None = None,
) -> None:
    """Runs an ingress until ``stop``, with a new membership whenever one broke. Anything but Kafka's absence raises."""
    limits = limits or IngressLimits()
    backoff = Backoff(first_s=limits.first_reconnect_s, cap_s=limits.max_reconnect_s, random=random)
    while not stop.is_set():
        consumed = metrics.consumed
        ingress = Ingress(
            open_consumer(),
            calls=calls,
            dead_letters=dead_letters,
            products=products,
            where=where,
            limits=limits,
            metrics=metrics,
            random=random,
        )
        try:
            await ingress.run(stop)
        except BrokerUnavailable as error:
            metrics.reconnects += 1
            log.warning("Kafka is away, the ingress tries again", extra={"error": str(error)})
            if metrics.consumed != consumed:
                backoff.reset()
            await wait_at_most(stop, backoff.next_s())


def _lane(content: Decoded | ProductUpdate | Undecodable, record: Record) -> Hashable:
    """What happens to one user, or to one product, happens in order."""
    match content:
        case Decoded(user_id=user_id):
            return user_id
        case ProductUpdate(product_id=product_id):
            return product_id
        case Undecodable():
            return record.partition, record.offset


async def _ended(stop: asyncio.Event) -> None:
    await stop.wait()
