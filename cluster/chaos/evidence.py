"""What the tables and topics hold in the end. Read past the proxies, by clients of its own."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from actors.domain.ids import CategoryId, ItemId, ProductId, SessionId, UserId, from_datetime
from cluster.verdict.found import Found, FoundCategory, FoundItem, FoundSession
from cluster.verdict.history import End
from persistence.kafka.connection import KAFKA_ERRORS, KafkaConnection

READ_TIMEOUT_S = 120.0
POLL_S = 1.0

ITEMS = """
select id, user_id, product_id, total_playtime_seconds, is_hidden, user_rating, user_defined_categories
  from user_library_items
"""
CATEGORIES = "select id, user_id, name from user_game_categories"
SESSIONS = """
select id, user_id, product_id, device_id, start_time, last_heartbeat_at, end_time, duration_seconds, end_reason,
       client_session_id, counted_elsewhere
  from playtime_sessions
"""
LEFT = """
select (select count(*) from journal) as journal, (select count(*) from outbox) as outbox,
       (select count(*) from playtime_sessions where end_time is null) as live
"""

CANNOT_READ = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, *KAFKA_ERRORS)


class Evidence:
    """``dsn`` and ``kafka`` are the servers' own addresses. Methods raise one of ``CANNOT_READ``."""

    def __init__(
        self, dsn: str, kafka: KafkaConnection, *, events: str, dead_letters: str, group: str, consumed: Sequence[str]
    ) -> None:
        self._dsn = dsn
        self._kafka = kafka
        self._events = events
        self._dead_letters = dead_letters
        self._group = group
        self._consumed = consumed

    async def left(self) -> dict[str, int]:
        """What is still on its way: rows of the journal and the outbox, live sessions, events not consumed."""
        connection = await asyncpg.connect(self._dsn, timeout=10.0, command_timeout=READ_TIMEOUT_S)
        try:
            row = await connection.fetchrow(LEFT)
        finally:
            await connection.close(timeout=10.0)
        assert row is not None, "an aggregate has a row"
        return {**{str(name): int(count) for name, count in row.items()}, "unread": await self._unread()}

    async def outbox(self) -> int:
        connection = await asyncpg.connect(self._dsn, timeout=5.0, command_timeout=10.0)
        try:
            return int(await connection.fetchval("select count(*) from outbox"))
        finally:
            await connection.close(timeout=5.0)

    async def collect(self) -> Found:
        """The tables in one snapshot, then the topics from their beginning."""
        left = await self.left()
        connection = await asyncpg.connect(self._dsn, timeout=10.0, command_timeout=READ_TIMEOUT_S)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                items = await connection.fetch(ITEMS)
                sessions = await connection.fetch(SESSIONS)
                categories = await connection.fetch(CATEGORIES)
        finally:
            await connection.close(timeout=10.0)
        return Found(
            items=[_item(row) for row in items],
            sessions=[_session(row) for row in sessions],
            events=await self._read(self._events),
            left=[f"not at rest: {count} in {name}" for name, count in left.items() if count and name != "live"],
            dead_letters=len(await self._read(self._dead_letters)),
            categories=[_category(row) for row in categories],
        )

    async def _unread(self) -> int:
        admin = AIOKafkaAdminClient(**self._kafka.arguments())
        consumer = AIOKafkaConsumer(**self._kafka.arguments())
        async with asyncio.timeout(READ_TIMEOUT_S):
            await admin.start()
            try:
                await consumer.start()
                offsets = await admin.list_consumer_group_offsets(self._group)
                partitions = await self._partitions(self._consumed)
                ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions) if partitions else {}
            finally:
                await consumer.stop()
                await admin.close()
        return sum(end - max(0, offsets[at].offset if at in offsets else 0) for at, end in ends.items())

    async def _read(self, topic: str) -> list[bytes]:
        """Every committed record of a topic, each partition in order; nothing if there is no such topic."""
        consumer = AIOKafkaConsumer(
            **self._kafka.arguments(), isolation_level="read_committed", enable_auto_commit=False
        )
        found: list[bytes] = []
        async with asyncio.timeout(READ_TIMEOUT_S):
            partitions = await self._partitions([topic])
            if not partitions:
                return found
            await consumer.start()
            try:
                consumer.assign(partitions)
                await consumer.seek_to_beginning(*partitions)
                ends = await consumer.end_offsets(partitions)
                while any([await consumer.position(at) < end for at, end in ends.items()]):
                    for records in (await consumer.getmany(timeout_ms=int(POLL_S * 1000))).values():
                        found += [record.value for record in records]
            finally:
                await consumer.stop()
        return found

    async def _partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        """Of those topics that exist."""
        admin = AIOKafkaAdminClient(**self._kafka.arguments())
        await admin.start()
        try:
            described = await admin.describe_topics(list(topics))
        finally:
            await admin.close()
        return [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in described
            if not topic["error_code"]
            for partition in topic["partitions"]
        ]


def _item(row: Any) -> FoundItem:
    return FoundItem(
        item_id=ItemId(row["id"].bytes),
        user_id=UserId(row["user_id"].bytes),
        product_id=ProductId(row["product_id"].bytes),
        total_playtime_s=row["total_playtime_seconds"],
        shown={
            "is_hidden": row["is_hidden"],
            "user_rating": row["user_rating"],
            "category_ids": [str(category_id) for category_id in row["user_defined_categories"] or ()],
        },
    )


def _category(row: Any) -> FoundCategory:
    return FoundCategory(
        category_id=CategoryId(row["id"].bytes), user_id=UserId(row["user_id"].bytes), name=row["name"]
    )


def _session(row: Any) -> FoundSession:
    end = None
    if row["end_time"] is not None:
        end = End(ended_at=from_datetime(row["end_time"]), duration_s=row["duration_seconds"], reason=row["end_reason"])
    times = row["counted_elsewhere"] or ()
    elsewhere = zip(times[::2], times[1::2], strict=True)
    return FoundSession(
        session_id=SessionId(row["id"].bytes),
        user_id=UserId(row["user_id"].bytes),
        product_id=ProductId(row["product_id"].bytes),
        device_id=row["device_id"],
        started_at=from_datetime(row["start_time"]),
        last_heartbeat_at=from_datetime(row["last_heartbeat_at"]),
        end=end,
        offline=row["client_session_id"] is not None,
        counted_elsewhere=tuple((from_datetime(begin), from_datetime(end)) for begin, end in elsewhere),
    )
