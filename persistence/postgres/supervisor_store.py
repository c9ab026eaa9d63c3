"""What the supervisor keeps: rows for hosts and shards, and how many hosts there are to be."""

from collections.abc import Sequence
from typing import Any, Final

from actors.domain.ids import SHARD_COUNT, HostId
from actors.ports import StoreError, StoreUnavailable
from persistence.postgres import partitions
from persistence.postgres.cluster_map import PostgresClusterMapReader
from persistence.postgres.pool import ConnectionPool

_SHARD_COUNT_KEY: Final = "shard_count"
_WANTED_HOSTS_KEY: Final = "wanted_hosts"

_SET_ONCE: Final = "insert into engine_settings (key, value) values ($1, $2) on conflict do nothing"

_SET: Final = """
insert into engine_settings (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value
"""

_GET: Final = "select value from engine_settings where key = $1"

_SPREAD_SHARDS: Final = """
insert into shards (shard_id, host_id, term)
select shard_id, shard_id % $1, 1 from generate_series(0, $2 - 1) as shard_id
on conflict do nothing
"""

_ADD_HOSTS: Final = """
insert into hosts (host_id) select host_id from unnest($1::integer[]) as host_id order by host_id on conflict do nothing
"""

_ADD_PROGRESS: Final = """
insert into host_progress (host_id) select host_id from unnest($1::integer[]) as host_id order by host_id
on conflict do nothing
"""


class PostgresSupervisorStore:
    """See ``actors.ports.SupervisorStore`` for every promise. Every call may be repeated."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self.read_map = PostgresClusterMapReader(pool).read_map

    async def prepare(self, initial_hosts: int) -> None:
        """``StoreError`` when the database was made for another number of shards: that number never changes."""
        if initial_hosts < 1:
            raise ValueError("at least one host")

        async def work(connection: Any) -> str:
            await connection.execute(_SET_ONCE, _SHARD_COUNT_KEY, str(SHARD_COUNT))
            await connection.execute(_SET_ONCE, _WANTED_HOSTS_KEY, str(initial_hosts))
            await connection.execute(_SPREAD_SHARDS, initial_hosts, SHARD_COUNT)
            stored: str = await connection.fetchval(_GET, _SHARD_COUNT_KEY)
            return stored

        stored = await self._pool.transaction(work)
        if int(stored) != SHARD_COUNT:
            raise StoreError(f"the database has {stored} shards, this release {SHARD_COUNT}")

    async def wanted_hosts(self) -> int:
        value = await self._pool.fetchval(_GET, _WANTED_HOSTS_KEY)
        if value is None:
            raise StoreUnavailable("the wanted number of hosts is not recorded yet")
        return int(value)

    async def set_wanted_hosts(self, count: int) -> None:
        if count < 1:
            raise ValueError("at least one host")
        await self._pool.fetch(_SET, _WANTED_HOSTS_KEY, str(count))

    async def ensure_hosts(self, host_ids: Sequence[HostId]) -> None:
        async def work(connection: Any) -> None:
            await connection.execute(_ADD_PROGRESS, host_ids)
            await connection.execute(_ADD_HOSTS, host_ids)

        await self._pool.transaction(work)

    async def keep_partitions(self) -> None:
        await partitions.keep(self._pool)
