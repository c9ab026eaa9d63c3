"""``applied_commands``: command ids with their stored answers (promise 2).

Partitioned by the day they were applied, in real time; ``partitions`` makes and drops them.
"""

from collections.abc import Sequence
from typing import Final

from actors.domain.ids import CommandId, UserId
from actors.domain.model import AppliedCommand
from persistence.postgres.connection import Session
from persistence.postgres.pool import ConnectionPool
from persistence.postgres.rows import write_rows

INSERT: Final = """
insert into applied_commands (user_id, command_id, applied_at, reply, request)
select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::bytea[], $5::bytea[])
"""

# How long each kind is remembered stands in actors.domain.remembering.
LOAD: Final = """
select user_id, command_id, applied_at, reply, coalesce(request, '') from applied_commands
where user_id = any($1::uuid[]) and applied_at > now() - interval '24 hours'
  and (request is not null or applied_at > now() - interval '10 minutes')
order by applied_at
"""


async def flush(session: Session, commands: Sequence[tuple[UserId, AppliedCommand]]) -> None:
    """Adds them; one that is there already is refused, for it was applied twice."""
    await write_rows(session, INSERT, [
        (user_id, one.command_id, one.at, one.reply, one.request or None) for user_id, one in commands
    ])  # fmt: skip


async def load(pool: ConnectionPool, users: Sequence[UserId]) -> dict[UserId, dict[CommandId, AppliedCommand]]:
    """The remembered commands of each of these users, an empty dict for who has none."""
    found: dict[UserId, dict[CommandId, AppliedCommand]] = {user_id: {} for user_id in users}
    for user_id, *fields in await pool.fetch(LOAD, users):
        applied = AppliedCommand(*fields)
        found[user_id][applied.command_id] = applied
    return found
