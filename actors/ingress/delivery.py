"""One record until it is done: its command is durable, or its dead letter is.

The engine or the dead-letter topic being away is not the record's fault: it is tried again for as long as the partition
is ours, with a growing delay, and never becomes a dead letter (R-EVT-4; ARCHITECTURE.md, "Kafka"). A rule that raises
is tried a few times; a message that cannot be read, not at all.
"""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext

from msgspec import Struct

from actors.backoff import Backoff
from actors.catalog import CatalogUnavailable, ProductUpdate, ProductUpdates
from actors.domain.replies import Done, Failed, Overloaded, Refused, Reply, Unavailable, WrongShard
from actors.ingress.decoding import Decoded
from actors.ingress.envelope import Undecodable
from actors.ingress.metrics import IngressMetrics
from actors.ingress.ports import BrokerUnavailable, Calls, DeadLetter, DeadLetters, Record
from actors.ingress.window import PartitionWindow


class DeliveryLimits(Struct, frozen=True, kw_only=True):
    """``max_in_flight``: attempts of all partitions at once. ``max_failures``: how often a rule may raise;
    ``max_suspicions``: how often two hosts may die under an event before it becomes a dead letter."""

    max_in_flight: int = 256
    call_timeout_s: float = 10.0
    max_failures: int = 3
    max_suspicions: int = 3
    first_delay_s: float = 0.05
    max_delay_s: float = 5.0


class Item(Struct, kw_only=True):
    """A record on its way; ``failures`` counts the times a rule raised over it, ``suspicions`` how often hosts died
    while they had it, twice each."""

    record: Record
    window: PartitionWindow
    content: Decoded | ProductUpdate | Undecodable
    failures: int = 0
    suspicions: int = 0


class Again(Struct, frozen=True):
    """Not done; to be tried again, after at least ``after_s``."""

    after_s: float = 0.0


class Deliverer:
    """Bounded by ``max_in_flight``: an item that waits for its next try takes no slot."""

    def __init__(
        self,
        *,
        calls: Calls,
        dead_letters: DeadLetters,
        products: ProductUpdates,
        limits: DeliveryLimits,
        metrics: IngressMetrics,
        random: Callable[[], float],
    ) -> None:
        self._calls = calls
        self._dead_letters = dead_letters
        self._products = products
        self._limits = limits
        self._metrics = metrics
        self._random = random
        self._slots = asyncio.Semaphore(limits.max_in_flight)
        self._alone = asyncio.Semaphore(1)

    async def deliver(self, item: Item) -> None:
        """Returns when the item is done, or when its partition was taken away.

        Whatever is outstanding when a host dies is suspect. Suspects are tried one at a time, so that only the one
        under which hosts really die is suspected again.
        """
        backoff = Backoff(first_s=self._limits.first_delay_s, cap_s=self._limits.max_delay_s, random=self._random)
        while item.window.is_open:
            async with self._alone if item.suspicions else nullcontext(), self._slots:
                if not item.window.is_open:
                    return
                again = await self._attempt(item)
            if again is None:
                return
            self._metrics.retries += 1
            await item.window.rest(max(backoff.next_s(), again.after_s))

    async def _attempt(self, item: Item) -> Again | None:
        with item.window.under_way():
            if isinstance(item.content, Undecodable):
                problem = item.content
                again = await self._bury(item, problem.reason, problem.detail, problem.event_id)
            elif isinstance(item.content, ProductUpdate):
                again = await self._tell(item.content)
            else:
                again = await self._call(item, item.content)
            if again is None:
                item.window.done(item.record.offset)
            return again

    async def _tell(self, update: ProductUpdate) -> Again | None:
        try:
            await self._products.apply(update)
        except CatalogUnavailable as away:
            return Again(away.retry_after_s)
        self._metrics.consumed += 1
        return None

    async def _call(self, item: Item, decoded: Decoded) -> Again | None:
        reply = await self._calls.call(
            decoded.user_id, decoded.command, timeout_s=self._limits.call_timeout_s, trace=decoded.trace
        )
        return await self._judge(item, decoded, reply)

    async def _judge(self, item: Item, decoded: Decoded, reply: Reply) -> Again | None:
        match reply:
            case Done(changed=changed):
                self._metrics.consumed += 1
                self._metrics.unchanged += not changed
                return None
            case Overloaded(retry_after_s=after_s):
                return Again(after_s)
            case Unavailable(suspect=True):
                item.suspicions += 1
                if item.suspicions < self._limits.max_suspicions:
                    return Again()
                return await self._bury(
                    item, "kills_hosts", "its host died under it, again and again", decoded.event_id
                )
            case Unavailable() | WrongShard():
                return Again()
            case Failed(incident=incident):
                item.failures += 1
                if item.failures < self._limits.max_failures:
                    return Again()
                return await self._bury(item, "failed", f"incident {incident}", decoded.event_id)
            case Refused(code=code, detail=detail):
                return await self._bury(item, "refused", f"{code}: {detail}", decoded.event_id)
            case _:
                return await self._bury(item, "failed", f"unexpected {type(reply).__name__}", decoded.event_id)

    async def _bury(self, item: Item, reason: str, detail: str, event_id: str | None) -> Again | None:
        letter = DeadLetter(record=item.record, reason=reason, detail=detail, event_id=event_id)
        try:
            await self._dead_letters.put(letter)
        except BrokerUnavailable:
            return Again()
        self._metrics.dead_lettered[reason] += 1
        return None
