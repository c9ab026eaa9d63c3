"""The outbox table in memory, and a relay's view of it (the port ``actors.relay.ports.OutboxQueue``)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from actors.domain.ids import Seq, ShardId, Term
from actors.ports import OutboxRow, StoreUnavailable
from actors.relay.ports import OutboxPage
from tests.memory.faults import Faults

Key = tuple[ShardId, Term, Seq, int]


def key_of(row: OutboxRow) -> Key:
    return row.shard_id, row.term, row.seq, row.n


@dataclass
class MemoryOutbox:
    """The world: what flushes have committed and no relay has deleted. The lock dies with its holder."""

    rows: dict[Key, OutboxRow] = field(default_factory=dict)
    holder: "MemoryOutboxQueue | None" = None

    def add(self, rows: Iterable[OutboxRow]) -> None:
        self.rows.update({key_of(row): row for row in rows})


class MemoryOutboxQueue:
    def __init__(self, outbox: MemoryOutbox, faults: Faults) -> None:
        self._outbox = outbox
        self._faults = faults

    async def acquire(self) -> bool:
        await self._faults.step("queue.acquire")
        holder = self._outbox.holder
        if holder is None or holder._faults.dead:
            self._outbox.holder = self
        return self._outbox.holder is self

    async def read(self, from_shard: ShardId, limit: int) -> OutboxPage:
        await self._faults.step("queue.read")
        self._check()
        keys = sorted(key for key in self._outbox.rows if key[0] >= from_shard)[:limit]
        return OutboxPage(rows=[self._outbox.rows[key] for key in keys], oldest_age_s=float(bool(keys)))

    async def delete(self, rows: Sequence[OutboxRow]) -> None:
        await self._faults.step("queue.delete")
        self._check()
        for row in rows:
            self._outbox.rows.pop(key_of(row), None)
        await self._faults.step("queue.deleted")

    async def release(self) -> None:
        if self._outbox.holder is self:
            self._outbox.holder = None

    def _check(self) -> None:
        if self._outbox.holder is not self:
            raise StoreUnavailable("the relay's lock is not held")
