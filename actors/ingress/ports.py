"""What the ingress asks of Kafka and of the router. Filled by ``persistence.kafka`` and by the engine's router; in
memory by ``tests.memory.kafka``.

Every call has a deadline of its own inside the implementation.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct

from actors.domain.commands import Command
from actors.domain.ids import CommandId, UserId
from actors.domain.replies import Reply


class BrokerUnavailable(Exception):
    """Kafka could not be asked, or did not answer in time: it may have happened or not. Trying again may help."""


class Partition(NamedTuple):
    topic: str
    number: int


class Record(Struct, frozen=True, kw_only=True):
    """One message as it lies in Kafka. ``timestamp_ms`` is Kafka's, milliseconds since 1970."""

    partition: Partition
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def size_bytes(self) -> int:
        return len(self.key or b"") + len(self.value or b"") + sum(len(name) + len(text) for name, text in self.headers)


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A record that cannot be processed, and why. ``event_id`` is its CloudEvent id, if it could be read."""

    record: Record
    reason: str
    detail: str
    event_id: str | None = None


class Rebalance(Protocol):
    """Told by a consumer, which waits for the answer before it goes on; no records are delivered in between."""

    async def revoked(self, partitions: Collection[Partition]) -> None:
        """They will be somebody else's when this returns. Offsets may still be committed in here."""
        ...

    async def assigned(self, partitions: Collection[Partition]) -> None:
        """From now on records of these come, from the committed offset on. None of them is paused."""
        ...


class Consumer(Protocol):
    """One membership in a consumer group: started once, stopped once, then thrown away.

    A record of a partition is delivered in order, and never after ``revoked`` has been told.
    """

    async def start(self, rebalance: Rebalance) -> None:
        """Joins the group. ``BrokerUnavailable``."""
        ...

    async def poll(self, timeout_s: float) -> Sequence[Record]:
        """What is there of the partitions that are not paused, waiting up to ``timeout_s`` for something.

        ``BrokerUnavailable``: this membership is broken, stop it and start another.
        """
        ...

    def pause(self, partitions: Collection[Partition]) -> None:
        """No more records of these until ``resume``; what was fetched comes again later. Unknown ones: no effect."""
        ...

    def resume(self, partitions: Collection[Partition]) -> None: ...

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Where the group is to begin after this process: the offset after the last one done. ``BrokerUnavailable``."""
        ...

    async def behind(self) -> int:
        """How many records of the assigned partitions were not delivered yet. ``BrokerUnavailable``."""
        ...

    async def stop(self) -> None:
        """Leaves the group, without telling ``revoked``; never raises."""
        ...


class DeadLetters(Protocol):
    async def put(self, letter: DeadLetter) -> None:
        """Returns after Kafka has acknowledged it (acks=all). ``BrokerUnavailable``: putting it again may double it."""
        ...


class Calls(Protocol):
    """The engine's router. Engine trouble is a reply (``Overloaded``, ``Unavailable``, ``Failed``), never raised."""

    async def call(
        self,
        user_id: UserId,
        command: Command,
        *,
        timeout_s: float,
        command_id: CommandId | None = None,
        trace: str | None = None,
    ) -> Reply: ...
