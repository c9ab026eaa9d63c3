"""``applied_purchases``: every ground a user ever had for a product, so that a repeated event changes nothing and a
refund finds what it takes back (R-LIB-5, R-EVT-3)."""

from collections.abc import Sequence
from typing import Final

from actors.domain.ids import OrderId, ProductId, UserId
from actors.domain.model import Acquisition, PurchaseKey
from actors.ports import PurchaseRow
from persistence.postgres.connection import Session
from persistence.postgres.pool import ConnectionPool
from persistence.postgres.rows import write_rows

# A row changes once at most: it is refunded, or its purchase comes after its refund.
UPSERT: Final = """
insert into applied_purchases as stored (user_id, order_id, product_id, acquisition_type, added_at, refunded_at)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[])
on conflict (user_id, order_id, product_id) do update set
    acquisition_type = excluded.acquisition_type,
    added_at = excluded.added_at,
    refunded_at = excluded.refunded_at
where (stored.refunded_at is null and excluded.refunded_at is not null)
   or (stored.acquisition_type is null and excluded.acquisition_type is not null)
"""

LOAD: Final = """
select user_id, order_id, product_id, acquisition_type, coalesce(added_at, applied_at), refunded_at
from applied_purchases where user_id = any($1::uuid[])
"""


async def flush(session: Session, purchases: Sequence[PurchaseRow]) -> None:
    """Writes them; a change that cannot happen is refused, for something was applied twice."""
    rows = [
        (
            row.user_id,
            row.order_id,
            row.product_id,
            row.acquisition.acquisition_type,
            row.acquisition.added_at,
            row.acquisition.refunded_at,
        )
        for row in purchases
    ]
    await write_rows(session, UPSERT, rows)


async def load(pool: ConnectionPool, users: Sequence[UserId]) -> dict[UserId, dict[PurchaseKey, Acquisition]]:
    """The grounds of each of these users, an empty dict for who has none."""
    found: dict[UserId, dict[PurchaseKey, Acquisition]] = {user_id: {} for user_id in users}
    for user_id, order_id, product_id, *fields in await pool.fetch(LOAD, users):
        found[user_id][PurchaseKey(OrderId(order_id), ProductId(product_id))] = Acquisition(*fields)
    return found
