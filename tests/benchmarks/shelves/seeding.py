"""Libraries as the service's flushes would have left them in the tables."""

from collections.abc import Iterator, Sequence

import asyncpg

from actors.domain.ids import SECOND, UserId
from persistence.postgres.codecs import use_domain_types
from persistence.postgres.migrate import migrate
from tests.benchmarks.crowd import named_id
from tests.benchmarks.shelves.collections import Collections

COPY_TIMEOUT_S = 600.0
BOUGHT_FROM = 1_500_000_000
YEARS_S = 200_000_000
_ITEMS = (
    "id", "user_id", "product_id", "added_at", "acquisition_type", "installation_status", "last_played_at",
    "total_playtime_seconds",
)  # fmt: skip
_PURCHASES = ("user_id", "order_id", "product_id", "acquisition_type", "added_at")


async def seed(dsn: str, users: Sequence[UserId], collections: Collections) -> None:
    """Each item was bought in an order of its own; four of five were played. Vacuumed and analysed."""
    await migrate(dsn)
    connection = await asyncpg.connect(dsn)
    try:
        await use_domain_types(connection)
        copy = connection.copy_records_to_table
        items = _items(users, collections)
        await copy("user_library_items", columns=_ITEMS, records=items, timeout=COPY_TIMEOUT_S)
        purchases = _purchases(users, collections)
        await copy("applied_purchases", columns=_PURCHASES, records=purchases, timeout=COPY_TIMEOUT_S)
        await connection.execute("vacuum analyze", timeout=COPY_TIMEOUT_S)
        await connection.execute("checkpoint", timeout=COPY_TIMEOUT_S)
    finally:
        await connection.close()


def _items(users: Sequence[UserId], collections: Collections) -> Iterator[tuple[object, ...]]:
    for number, user_id in enumerate(users):
        for place, product_id in enumerate(collections.owned(number)):
            item_id = named_id(f"item {number} {place}")
            bought = _bought(number, place)
            played = None if place % 5 == 0 else bought + (place % 300 + 1) * 3600 * SECOND
            status = "installed" if place % 11 == 0 else "not_installed"
            seconds = 0 if played is None else item_id[0] * 997
            yield item_id, user_id, product_id, bought, "purchase", status, played, seconds


def _purchases(users: Sequence[UserId], collections: Collections) -> Iterator[tuple[object, ...]]:
    for number, user_id in enumerate(users):
        for place, product_id in enumerate(collections.owned(number)):
            order_id = named_id(f"order {number} {place}")
            yield user_id, order_id, product_id, "purchase", _bought(number, place)


def _bought(number: int, place: int) -> int:
    return (BOUGHT_FROM + (number * 31 + place * 86_413) % YEARS_S) * SECOND
