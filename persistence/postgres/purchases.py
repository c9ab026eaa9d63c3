"""``applied_purchases``: every purchase ever applied, so that a repeated event changes nothing (R-LIB-5, R-EVT-3)."""

from collections.abc import Sequence
from typing import Final

from actors.domain.ids import OrderId, ProductId, UserId
from actors.domain.model import PurchaseKey
from actors.ports import PurchaseRow
from persistence.postgres.connection import Session
from persistence.postgres.pool import ConnectionPool
from persistence.postgres.rows import write_rows

INSERT: Final = """
insert into applied_purchases (user_id, order_id, product_id, applied_at)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[])
"""

LOAD: Final = "select user_id, order_id, product_id from applied_purchases where user_id = any($1::uuid[])"


async def flush(session: Session, purchases: Sequence[PurchaseRow]) -> None:
    """Adds them; one that is there already is refused, for it was applied twice."""
    await write_rows(session, INSERT, [(row.user_id, row.order_id, row.product_id, row.at) for row in purchases])


async def load(pool: ConnectionPool, users: Sequence[UserId]) -> dict[UserId, set[PurchaseKey]]:
    """The purchases of each of these users, an empty set for who made none."""
    found: dict[UserId, set[PurchaseKey]] = {user_id: set() for user_id in users}
    for user_id, order_id, product_id in await pool.fetch(LOAD, users):
        found[user_id].add(PurchaseKey(OrderId(order_id), ProductId(product_id)))
    return found
