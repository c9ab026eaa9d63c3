"""``user_game_categories``: a user's own categories (R-LIB-3, R-DB-1)."""

from collections.abc import Sequence
from typing import Final

from actors.domain.ids import CategoryId, UserId
from actors.domain.model import Category
from persistence.postgres.connection import Session
from persistence.postgres.pool import ConnectionPool
from persistence.postgres.rows import columns, write_rows

UPSERT: Final = """
insert into user_game_categories as stored (user_id, id, name, created_at, updated_at)
select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[])
on conflict (id) do update set name = excluded.name, updated_at = excluded.updated_at
where stored.user_id = excluded.user_id
"""

# One that was made and deleted since the last flush is not there.
DELETE: Final = """
delete from user_game_categories using unnest($1::uuid[], $2::uuid[]) as gone (user_id, id)
where user_game_categories.id = gone.id and user_game_categories.user_id = gone.user_id
"""

LOAD: Final = (
    "select user_id, id, name, created_at, updated_at from user_game_categories where user_id = any($1::uuid[])"
)


async def flush_deletes(session: Session, deleted: Sequence[tuple[UserId, CategoryId]]) -> None:
    if deleted:
        await session.execute(DELETE, *columns(deleted))


async def flush(session: Session, categories: Sequence[tuple[UserId, Category]]) -> None:
    rows = [(user_id, one.category_id, one.name, one.created_at, one.updated_at) for user_id, one in categories]
    await write_rows(session, UPSERT, rows)


async def load(pool: ConnectionPool, users: Sequence[UserId]) -> dict[UserId, dict[CategoryId, Category]]:
    """The categories of each of these users, an empty dict for who has none."""
    found: dict[UserId, dict[CategoryId, Category]] = {user_id: {} for user_id in users}
    for user_id, *fields in await pool.fetch(LOAD, users):
        category = Category(*fields)
        found[user_id][category.category_id] = category
    return found
