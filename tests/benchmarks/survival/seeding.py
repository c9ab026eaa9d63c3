"""Users who play, as the service's flushes would have left them in the tables, and a journal that was not flushed yet.

Written by COPY before the service starts: a million users by commands would take half an hour.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence

import asyncpg

from actors.domain.events import Event, HeartbeatAccepted, InstallationChanged
from actors.domain.ids import SECOND, HostId, Micros, ProductId, SessionId, UserId, shard_of
from actors.journal import encode_body
from actors.release import release_formats
from persistence.postgres.codecs import use_domain_types
from tests.benchmarks.crowd import named_id

GAMES = 1_000
INTERVAL_S = 60
SILENT_FOR_S = 60
"""Last beats are spread over so many seconds before the seeding, as those of fair clients are."""
PLAYING_FOR_S = 4 * 3600
ENTRIES_A_ROW = 3
INSTALLATION_EVERY = 10
"""So many journal rows hold one event that needs its user's library."""
COPY_TIMEOUT_S = 600.0
_PRODUCTS = [ProductId(named_id(f"seeded game {number}")) for number in range(GAMES)]

_SESSION_COLUMNS = (
    "id", "user_id", "product_id", "start_time", "last_heartbeat_at", "heartbeat_interval_seconds", "device_id",
    "platform",
)  # fmt: skip
_ITEM_COLUMNS = (
    "id", "user_id", "product_id", "added_at", "acquisition_type", "installation_status", "last_played_at",
    "total_playtime_seconds",
)  # fmt: skip


def session_of(number: int) -> SessionId:
    return SessionId(named_id(f"session {number}"))


def product_of(number: int) -> ProductId:
    return _PRODUCTS[number % GAMES]


async def seed(dsn: str, users: Sequence[UserId]) -> None:
    """Each user owns a game, and plays it on a device of their own. Vacuumed and analysed, with a checkpoint."""
    now = int(time.time()) * SECOND
    connection = await _connect(dsn)
    try:
        await asyncio.gather(
            _copy(dsn, "user_library_items", _ITEM_COLUMNS, _items(users, now)),
            _copy(dsn, "playtime_sessions", _SESSION_COLUMNS, _sessions(users, now)),
        )
        await _copy(dsn, "applied_purchases", ("user_id", "order_id", "product_id", "applied_at"), _orders(users, now))
        await connection.execute("vacuum analyze", timeout=COPY_TIMEOUT_S)
        await connection.execute("checkpoint", timeout=COPY_TIMEOUT_S)
    finally:
        await connection.close()


async def seed_journal(dsn: str, users: Sequence[UserId], rows: int, hosts: int) -> None:
    """So many journal rows in all that the first start finds: beats, and now and then a change that needs a library.

    Spread over the hosts by the shards' owners at a first start.
    """
    if not rows:
        return
    numbers: list[list[int]] = [[] for _ in range(hosts)]
    for number, user_id in enumerate(users):
        numbers[shard_of(user_id) % hosts].append(number)
    records = [
        (host_id, seq, _body(users, numbers[host_id], seq))
        for host_id in range(hosts)
        for seq in range(1, rows // hosts + 1)
    ]
    await _copy(dsn, "journal", ("host_id", "seq", "body"), iter(records))


def _body(users: Sequence[UserId], mine: Sequence[int], seq: int) -> bytes:
    at = Micros(int(time.time()) * SECOND)
    entries: list[tuple[UserId, Sequence[Event]]] = []
    for n in range(ENTRIES_A_ROW):
        number = mine[(seq * ENTRIES_A_ROW + n) % len(mine)]
        event: Event = HeartbeatAccepted(session_of(number), at, INTERVAL_S)
        if n == 0 and seq % INSTALLATION_EVERY == 0:
            event = InstallationChanged(product_of(number), "updating", at)
        entries.append((users[number], (event,)))
    return encode_body(release_formats(), entries)


def _sessions(users: Sequence[UserId], now: int) -> Iterator[tuple[object, ...]]:
    for number, user_id in enumerate(users):
        beat = now - number % SILENT_FOR_S * SECOND
        started = beat - number % PLAYING_FOR_S * SECOND
        device = f"pc-{number:09d}"
        yield session_of(number), user_id, product_of(number), started, beat, INTERVAL_S, device, "pc"


def _items(users: Sequence[UserId], now: int) -> Iterator[tuple[object, ...]]:
    added = now - 30 * 86_400 * SECOND
    for number, user_id in enumerate(users):
        item_id = named_id(f"item {number}")
        yield item_id, user_id, product_of(number), added, "purchase", "installed", now - PLAYING_FOR_S * SECOND, 3600


def _orders(users: Sequence[UserId], now: int) -> Iterator[tuple[object, ...]]:
    for number, user_id in enumerate(users):
        yield user_id, named_id(f"order {number}"), product_of(number), now - 30 * 86_400 * SECOND


async def _copy(dsn: str, table: str, columns: Sequence[str], records: Iterator[tuple[object, ...]]) -> None:
    connection = await _connect(dsn)
    try:
        await connection.copy_records_to_table(table, columns=columns, records=records, timeout=COPY_TIMEOUT_S)
    finally:
        await connection.close()


async def _connect(dsn: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(dsn)
    await use_domain_types(connection)
    return connection


def hosts_of(users: Sequence[UserId], hosts: int) -> list[HostId]:
    """The host of each user as a first start spreads the shards."""
    return [HostId(shard_of(user_id) % hosts) for user_id in users]
