"""The map of the cluster: which host owns which shard, and where it listens."""

from typing import Any, Final

from actors.domain.ids import HostId, ShardId
from actors.ports import ClusterMap, HostAddress, ShardOwner
from persistence.postgres.pool import ConnectionPool

# One statement is one snapshot: two could show a shard on a host whose address is of another moment.
READ: Final = """
select host_id, epoch, address, shard_id, term from hosts full join shards using (host_id)
"""


class PostgresClusterMapReader:
    """See ``actors.ports.ClusterMapReader``."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def read_map(self) -> ClusterMap:
        return _assemble(await self._pool.fetch(READ))


def _assemble(rows: list[Any]) -> ClusterMap:
    """A host without shards and a shard whose host has no row yet come with nulls for the other side."""
    hosts: dict[HostId, HostAddress] = {}
    shards: dict[ShardId, ShardOwner] = {}
    for host_id, epoch, address, shard_id, term in rows:
        if epoch is not None and host_id not in hosts:
            hosts[host_id] = HostAddress(host_id, epoch, address)
        if shard_id is not None:
            shards[shard_id] = ShardOwner(shard_id, host_id, term)
    return ClusterMap(hosts, shards)
