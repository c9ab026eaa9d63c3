"""What a replay needs of real servers: the tables, the clock's rate, events that are there when they are sent."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import uuid4

import asyncpg

from actors.domain.ids import from_datetime
from cluster.replay.check import Item, Session
from cluster.replay.evidence import PostgresTables
from cluster.replay.patience import Patience, Retries
from cluster.replay.pause import Pause
from cluster.replay.target import clock_rate_of, find_settings, purchases_topic
from persistence.postgres.migrate import migrate
from tests.support.events import read_messages

START = datetime(2024, 3, 15, 18, 0, 0, 250_001, tzinfo=UTC)


async def test_the_tables_are_read_to_the_microsecond_for_the_users_asked_for(postgres_dsn):
    await migrate(postgres_dsn)
    user, other, product, live, ended = (uuid4() for _ in range(5))
    connection = await asyncpg.connect(postgres_dsn)
    for owner in (user, other):
        await connection.execute(
            "insert into user_library_items (user_id, product_id, acquisition_type, total_playtime_seconds)"
            " values ($1, $2, 'purchase', 90)",
            owner,
            product,
        )
    end = START + timedelta(seconds=90, microseconds=7)
    await connection.executemany(
        "insert into playtime_sessions (id, user_id, product_id, start_time, end_time, duration_seconds,"
        " last_heartbeat_at) values ($1, $2, $3, $4, $5, $6, $7)",
        [(ended, user, product, START, end, 90, end), (live, user, product, end, None, None, end)],
    )
    await connection.close()
    items, sessions = await PostgresTables(postgres_dsn).read([str(user)])
    assert items == [Item(user_id=str(user), product_id=str(product), total_seconds=90)]
    common = {"user_id": str(user), "product_id": str(product), "last_heartbeat_at": from_datetime(end)}
    assert sorted(sessions, key=lambda session: session.started_at) == [
        Session(
            session_id=str(ended),
            started_at=from_datetime(START),
            ended_at=from_datetime(end),
            duration_seconds=90,
            **common,
        ),
        Session(session_id=str(live), started_at=from_datetime(end), ended_at=None, duration_seconds=None, **common),
    ]


async def test_the_clock_rate_is_the_one_that_the_service_stored(postgres_dsn):
    assert await clock_rate_of("postgresql://nobody@127.0.0.1:1/nothing") is None
    assert await clock_rate_of(postgres_dsn) is None
    await migrate(postgres_dsn)
    assert await clock_rate_of(postgres_dsn) is None
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("insert into clock_origin (real_at, service_at, rate) values (now(), now(), 120)")
    await connection.close()
    assert await clock_rate_of(postgres_dsn) == 120


async def test_a_purchase_event_is_in_kafka_when_it_is_sent(kafka_brokers):
    topic_name = f"replay.{uuid4().hex}"
    settings = find_settings(
        {
            "KAFKA_BROKERS": kafka_brokers,
            "KAFKA_TOPIC_PURCHASES": topic_name,
            "POSTGRES_DSN": "postgresql://nobody@127.0.0.1:1/nothing",
        }
    )
    retries = Retries(patience=Patience(total_s=60), pause=Pause(), random=Random(1), counted=Counter())
    async with purchases_topic(settings, retries) as topic:
        await topic.send(b"user", b"event")
    (message,) = await read_messages(kafka_brokers, topic_name, bool)
    assert (message.key, message.value) == (b"user", b"event")
    assert ("content-type", b"application/cloudevents+json; charset=UTF-8") in message.headers
