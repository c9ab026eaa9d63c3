"""``shards``: who owns what."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from actors.domain.ids import ShardId
from actors.ports import ShardOwner
from persistence.postgres.pool import ConnectionPool

READ: Final = "select shard_id, host_id, term from shards"


def owners(rows: Iterable[Any]) -> dict[ShardId, ShardOwner]:
    """The rows of ``READ`` by shard."""
    return {ShardId(row["shard_id"]): ShardOwner(*row) for row in rows}


async def read(pool: ConnectionPool) -> Mapping[ShardId, ShardOwner]:
    """All shards; none before the supervisor's first start."""
    return owners(await pool.fetch(READ))
