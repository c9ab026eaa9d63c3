"""``processes`` and ``cluster_version``: who runs, and what all of them may write (the port
``actors.fleet.ports.FleetStore``)."""

from collections.abc import Sequence
from typing import Any, Final

from actors.fleet.ports import SILENT_S, ProcessInfo, RunningProcess
from persistence.postgres.pool import ConnectionPool

# The flag's row is locked before anything else: whoever raises it (for update) waits for this, or this waits for the
# new flag. The insert reads from the locked row, so it comes after it.
_ANNOUNCE: Final = """
with flag as (select version from cluster_version for key share),
seen as (
    insert into processes as known (process_id, name, node, release, newest_version, serving)
    select $1, $2, $3, $4, $5, $6 from flag
    on conflict (process_id) do update set serving = excluded.serving, seen_at = clock_timestamp()
)
select version from flag
"""

_WITHDRAW: Final = "delete from processes where process_id = $1"

_FORGET: Final = "delete from processes where seen_at < clock_timestamp() - interval '1 hour'"

_RUNNING: Final = """
select process_id, name, node, release, newest_version, serving,
       extract(epoch from clock_timestamp() - seen_at)::float8 as silent_s
from processes
where seen_at > clock_timestamp() - make_interval(secs => $1)
order by started_at desc
"""

_VERSION: Final = "select version from cluster_version"

_LOCK_VERSION: Final = "select version from cluster_version for update"

_RAISE: Final = "update cluster_version set version = $1, changed_at = clock_timestamp() where version < $1"


class PostgresFleetStore:
    """See ``actors.fleet.ports.FleetStore`` for every promise."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def announce(self, info: ProcessInfo, *, serving: bool) -> int:
        version: int = await self._pool.fetchval(
            _ANNOUNCE, info.process_id, info.name, info.node, info.release, info.newest, serving
        )
        return version

    async def withdraw(self, process_id: bytes) -> None:
        await self._pool.fetch(_WITHDRAW, process_id)

    async def forget_silent(self) -> None:
        await self._pool.fetch(_FORGET)

    async def processes(self) -> Sequence[RunningProcess]:
        return [_running(row) for row in await self._pool.fetch(_RUNNING, SILENT_S)]

    async def version(self) -> int:
        version: int = await self._pool.fetchval(_VERSION)
        return version

    async def raise_version(self, to: int) -> Sequence[RunningProcess]:
        async def work(connection: Any) -> Sequence[RunningProcess]:
            await connection.fetchval(_LOCK_VERSION)
            # A new statement: it sees whoever announced itself before the lock was had.
            running = [_running(row) for row in await connection.fetch(_RUNNING, SILENT_S)]
            old = [process for process in running if process.info.newest < to]
            if not old:
                await connection.execute(_RAISE, to)
            return old

        return await self._pool.transaction(work)


def _running(row: Any) -> RunningProcess:
    return RunningProcess(
        info=ProcessInfo(
            process_id=row["process_id"],
            name=row["name"],
            node=row["node"],
            release=row["release"],
            newest=row["newest_version"],
        ),
        serving=row["serving"],
        silent_s=row["silent_s"],
    )
