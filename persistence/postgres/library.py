"""``user_library_items``: a user's products; ``removed_library_items``: what was taken back (R-DB-1, R-LIB-8)."""

from collections.abc import Sequence
from typing import Any, Final

from actors.domain.ids import CategoryId, Micros, ProductId, UserId, format_id
from actors.domain.model import LibraryItem, RemovedItem
from persistence.postgres.connection import Session
from persistence.postgres.pool import ConnectionPool
from persistence.postgres.rows import columns, write_rows

_ITEM_COLUMNS: Final = """
id, product_id, added_at, acquisition_type, installation_status, install_event_at, last_played_at,
total_playtime_seconds, is_hidden, last_session_end_at, user_rating, user_defined_categories, updated_at
"""

_CATEGORIES: Final = 11
"""Where they stand among the columns."""

# An array of arrays would be flattened by unnest: each row's categories come as the text of an array.
_SELECTED: Final = """
user_id, id, product_id, added_at, acquisition_type, installation_status, install_event_at, last_played_at,
total_playtime_seconds, is_hidden, last_session_end_at, user_rating, categories::uuid[], updated_at
"""
_GIVEN: Final = _SELECTED.replace("categories::uuid[]", "categories")
_ARRAYS: Final = """
$1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[],
$9::bigint[], $10::boolean[], $11::timestamptz[], $12::smallint[], $13::text[], $14::timestamptz[]
"""
_UPDATES: Final = """
    added_at = excluded.added_at,
    acquisition_type = excluded.acquisition_type,
    installation_status = excluded.installation_status,
    install_event_at = excluded.install_event_at,
    last_played_at = excluded.last_played_at,
    total_playtime_seconds = excluded.total_playtime_seconds,
    is_hidden = excluded.is_hidden,
    last_session_end_at = excluded.last_session_end_at,
    user_rating = excluded.user_rating,
    user_defined_categories = excluded.user_defined_categories,
    updated_at = excluded.updated_at
"""

UPSERT: Final = f"""
insert into user_library_items as stored (user_id, {_ITEM_COLUMNS})
select {_SELECTED} from unnest({_ARRAYS}) as given ({_GIVEN})
on conflict (id) do update set {_UPDATES}
where stored.user_id = excluded.user_id and stored.product_id = excluded.product_id
"""

# One that was added and taken back since the last flush is not there.
DELETE: Final = """
delete from user_library_items using unnest($1::uuid[], $2::uuid[]) as gone (user_id, id)
where user_library_items.id = gone.id and user_library_items.user_id = gone.user_id
"""

# A product that was there again by a release which does not know this table is another item now.
UPSERT_REMOVED: Final = f"""
insert into removed_library_items (user_id, {_ITEM_COLUMNS}, removed_at)
select {_SELECTED}, removed_at from unnest({_ARRAYS}, $15::timestamptz[]) as given ({_GIVEN}, removed_at)
on conflict (user_id, product_id) do update set id = excluded.id, removed_at = excluded.removed_at, {_UPDATES}
"""

UNDO_REMOVAL: Final = """
delete from removed_library_items using unnest($1::uuid[], $2::uuid[]) as back (user_id, product_id)
where removed_library_items.user_id = back.user_id and removed_library_items.product_id = back.product_id
"""

LOAD: Final = f"select user_id, {_ITEM_COLUMNS} from user_library_items where user_id = any($1::uuid[])"

LOAD_REMOVED: Final = f"""
select user_id, removed_at, {_ITEM_COLUMNS} from removed_library_items where user_id = any($1::uuid[])
"""


async def flush_deletes(
    session: Session, removed: Sequence[tuple[UserId, RemovedItem]], returned: Sequence[tuple[UserId, ProductId]]
) -> None:
    """Items that were taken back leave their table, products that are there again leave the other one. Deletes come
    before upserts."""
    if removed:
        await session.execute(DELETE, *columns([(user_id, gone.item.item_id) for user_id, gone in removed]))
    if returned:
        await session.execute(UNDO_REMOVAL, *columns(returned))


async def flush(
    session: Session,
    items: Sequence[tuple[UserId, LibraryItem]],
    removed: Sequence[tuple[UserId, RemovedItem]],
) -> None:
    """Writes the images of items and of what was taken back."""
    await write_rows(session, UPSERT, [_row(user_id, item) for user_id, item in items])
    rows = [(*_row(user_id, gone.item), gone.removed_at) for user_id, gone in removed]
    await write_rows(session, UPSERT_REMOVED, rows)


async def load(pool: ConnectionPool, users: Sequence[UserId]) -> dict[UserId, dict[ProductId, LibraryItem]]:
    """The items of each of these users, an empty dict for who has none."""
    found: dict[UserId, dict[ProductId, LibraryItem]] = {user_id: {} for user_id in users}
    for user_id, *fields in await pool.fetch(LOAD, users):
        item = _item(fields)
        found[user_id][item.product_id] = item
    return found


async def load_removed(pool: ConnectionPool, users: Sequence[UserId]) -> dict[UserId, dict[ProductId, RemovedItem]]:
    """What was taken back from each of these users."""
    found: dict[UserId, dict[ProductId, RemovedItem]] = {user_id: {} for user_id in users}
    for user_id, removed_at, *fields in await pool.fetch(LOAD_REMOVED, users):
        item = _item(fields)
        found[user_id][item.product_id] = RemovedItem(item, Micros(removed_at))
    return found


def _row(user_id: UserId, item: LibraryItem) -> tuple[object, ...]:
    return (
        user_id,
        item.item_id,
        item.product_id,
        item.added_at,
        item.acquisition_type,
        item.installation_status,
        item.install_event_at,
        item.last_played_at,
        item.total_playtime_s,
        item.is_hidden,
        item.last_ended_at,
        item.user_rating,
        _array(item.category_ids),
        item.updated_at,
    )


def _array(category_ids: tuple[CategoryId, ...]) -> str | None:
    return "{" + ",".join(map(format_id, category_ids)) + "}" if category_ids else None


def _item(fields: Sequence[Any]) -> LibraryItem:
    """From ``_ITEM_COLUMNS``."""
    values: list[Any] = list(fields)
    values[_CATEGORIES] = tuple(values[_CATEGORIES] or ())
    return LibraryItem(*values)
