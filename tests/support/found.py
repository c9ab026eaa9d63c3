"""What a running service has kept, for ``cluster.verdict``: its tables and its topic, read by others than itself."""

import asyncio
from collections.abc import Collection
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from actors.domain.ids import ItemId, ProductId, SessionId, UserId
from cluster.verdict.found import Found, FoundItem, FoundSession
from cluster.verdict.history import End
from persistence.postgres.codecs import use_domain_types

TOPIC = "library.events.v1"
READ_TIMEOUT_S = 60.0

_ITEMS = "select id, user_id, product_id, total_playtime_seconds from user_library_items where user_id = any($1)"
_SESSIONS = """
select id, user_id, product_id, device_id, start_time, last_heartbeat_at, end_time, duration_seconds, end_reason
from playtime_sessions where user_id = any($1)
"""


async def find(dsn: str, brokers: str, users: Collection[UserId]) -> Found:
    """Of these users; the outbox must be empty by now."""
    connection = await asyncpg.connect(dsn)
    try:
        await use_domain_types(connection)
        items = await connection.fetch(_ITEMS, list(users))
        sessions = await connection.fetch(_SESSIONS, list(users))
    finally:
        await connection.close()
    return Found(
        items=[
            FoundItem(
                item_id=ItemId(row["id"]),
                user_id=UserId(row["user_id"]),
                product_id=ProductId(row["product_id"]),
                total_playtime_s=row["total_playtime_seconds"],
            )
            for row in items
        ],
        sessions=[_session(row) for row in sessions],
        events=await _events(brokers),
        left=[],
        dead_letters=0,
    )


def _session(row: Any) -> FoundSession:
    end = None
    if row["end_time"] is not None:
        end = End(ended_at=row["end_time"], duration_s=row["duration_seconds"], reason=row["end_reason"])
    return FoundSession(
        session_id=SessionId(row["id"]),
        user_id=UserId(row["user_id"]),
        product_id=ProductId(row["product_id"]),
        device_id=row["device_id"],
        started_at=row["start_time"],
        last_heartbeat_at=row["last_heartbeat_at"],
        end=end,
    )


async def _events(brokers: str) -> list[bytes]:
    """All that was committed, each partition in order."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=brokers, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    found: list[bytes] = []
    async with asyncio.timeout(READ_TIMEOUT_S):
        await consumer.start()
        try:
            partitions = [TopicPartition(TOPIC, number) for number in consumer.partitions_for_topic(TOPIC) or ()]
            if not partitions:
                partitions = [TopicPartition(TOPIC, number) for number in range(4)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(partitions)
            while any([await consumer.position(one) < end for one, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [record.value for record in records]
        finally:
            await consumer.stop()
    return found
