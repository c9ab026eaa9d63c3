"""``outbox``: integration events in the same transaction as their change (R-EVT-2). The relay publishes them."""

from collections.abc import Sequence
from typing import Final

from actors.ports import OutboxRow
from persistence.postgres.connection import Session
from persistence.postgres.pool import ConnectionPool
from persistence.postgres.rows import write_rows

INSERT: Final = """
insert into outbox (shard_id, term, seq, n, user_id, body, version)
select * from unnest(
    $1::smallint[], $2::bigint[], $3::bigint[], $4::integer[], $5::uuid[], $6::bytea[], $7::smallint[]
)
"""

# A count would read every row, just when there are too many of them. The relay deletes about in the order of ids.
BACKLOG: Final = "select coalesce(max(id) - min(id) + 1, 0) from outbox"


async def flush(session: Session, rows: Sequence[OutboxRow]) -> None:
    """Adds them; a repeated key is refused."""
    await write_rows(
        session,
        INSERT,
        [(row.shard_id, row.term, row.seq, row.n, row.user_id, row.body, row.version) for row in rows],
    )


async def backlog(pool: ConnectionPool) -> int:
    """About how many rows wait: never fewer, and more only where some in between are gone already."""
    waiting: int = await pool.fetchval(BACKLOG)
    return waiting
