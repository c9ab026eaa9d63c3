"""``user_library_items``: a user's products (R-DB-1)."""

from collections.abc import Sequence
from typing import Final

from actors.domain.ids import ProductId, UserId
from actors.domain.model import LibraryItem
from persistence.postgres.connection import Session
from persistence.postgres.pool import ConnectionPool
from persistence.postgres.rows import write_rows

UPSERT: Final = """
insert into user_library_items as stored (
    id, user_id, product_id, added_at, acquisition_type, installation_status, install_event_at, last_played_at,
    total_playtime_seconds, is_hidden, last_session_end_at
)
select * from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::timestamptz[],
    $8::timestamptz[], $9::bigint[], $10::boolean[], $11::timestamptz[]
)
on conflict (id) do update set
    added_at = excluded.added_at,
    acquisition_type = excluded.acquisition_type,
    installation_status = excluded.installation_status,
    install_event_at = excluded.install_event_at,
    last_played_at = excluded.last_played_at,
    total_playtime_seconds = excluded.total_playtime_seconds,
    is_hidden = excluded.is_hidden,
    last_session_end_at = excluded.last_session_end_at,
    updated_at = now()
where stored.user_id = excluded.user_id and stored.product_id = excluded.product_id
"""

LOAD: Final = """
select user_id, id, product_id, added_at, acquisition_type, installation_status, install_event_at, last_played_at,
       total_playtime_seconds, is_hidden, last_session_end_at
from user_library_items where user_id = any($1::uuid[])
"""


async def flush(session: Session, items: Sequence[tuple[UserId, LibraryItem]]) -> None:
    """Writes the items' images; the columns that the domain does not know keep what they have."""
    await write_rows(session, UPSERT, [_row(user_id, item) for user_id, item in items])


def _row(user_id: UserId, item: LibraryItem) -> tuple[object, ...]:
    return (
        item.item_id,
        user_id,
        item.product_id,
        item.added_at,
        item.acquisition_type,
        item.installation_status,
        item.install_event_at,
        item.last_played_at,
        item.total_playtime_s,
        item.is_hidden,
        item.last_ended_at,
    )


async def load(pool: ConnectionPool, users: Sequence[UserId]) -> dict[UserId, dict[ProductId, LibraryItem]]:
    """The items of each of these users, an empty dict for who has none."""
    found: dict[UserId, dict[ProductId, LibraryItem]] = {user_id: {} for user_id in users}
    for user_id, *columns in await pool.fetch(LOAD, users):
        item = LibraryItem(*columns)
        found[user_id][item.product_id] = item
    return found
