"""What the relay asks of the outbox table and of Kafka. Filled by ``persistence.postgres.outbox_queue`` and
``persistence.kafka.transactional_producer``; in memory by ``tests.memory.kafka``.

Every call has a deadline of its own inside the implementation.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from actors.domain.ids import ShardId
from actors.ports import OutboxRow


class PublishFailed(Exception):
    """Kafka took none of the batch, or all of it, or cannot say. Publishing it again is right: the ids are the same."""


class Message(Struct, frozen=True, kw_only=True):
    """Kafka keeps the order of messages with the same key."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class OutboxPage(Struct, frozen=True, kw_only=True):
    """``oldest_age_s``: how long the row that waits longest on this page has been there; 0 for none."""

    rows: Sequence[OutboxRow]
    oldest_age_s: float


class OutboxQueue(Protocol):
    """The table ``outbox``, for the one relay that holds its lock. ``StoreUnavailable`` from any call: the lock may be
    lost, ``release`` and ``acquire`` again."""

    async def acquire(self) -> bool:
        """Takes the relay's lock, if nobody has it; it is kept until ``release`` or until the session ends."""
        ...

    async def read(self, from_shard: ShardId, limit: int) -> OutboxPage:
        """The first rows of the shards from ``from_shard`` on, by (shard, term, seq, n): of each shard a prefix."""
        ...

    async def delete(self, rows: Sequence[OutboxRow]) -> None:
        """Exactly these rows. Unknown ones are no error."""
        ...

    async def release(self) -> None:
        """Gives the lock back; never raises."""
        ...


class Producer(Protocol):
    """Publishes batches, each wholly or not at all, in the order given. Opened once, closed once."""

    async def open(self) -> None:
        """Fences every older producer: what they have under way is rolled back. ``PublishFailed``."""
        ...

    async def publish(self, messages: Sequence[Message]) -> None:
        """Returns when Kafka has committed them. ``PublishFailed``: close this producer and open another."""
        ...

    async def close(self) -> None:
        """Never raises."""
        ...
