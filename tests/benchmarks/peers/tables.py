"""The peers' tables, filled with the users and live sessions that our service has."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg

from actors.domain.ids import SessionId
from tests.benchmarks.crowd import GAMES, Crowd

SCHEMA = Path(__file__).parent / "schema.sql"
COPY_TIMEOUT_S = 120


async def create_tables(dsn: str, crowd: Crowd, sessions: Sequence[SessionId]) -> None:
    """Vacuumed and analysed, with a checkpoint behind it."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(SCHEMA.read_text())
        started = datetime.now(UTC)
        await connection.copy_records_to_table(
            "user_library_items",
            columns=["id", "user_id", "product_id"],
            records=[
                (UUID(bytes=os.urandom(16)), UUID(bytes=user_id), UUID(bytes=game))
                for user_id in crowd.users
                for game in GAMES
            ],
            timeout=COPY_TIMEOUT_S,
        )
        await connection.copy_records_to_table(
            "playtime_sessions",
            columns=["id", "user_id", "product_id", "start_time", "last_heartbeat_at"],
            records=[
                (UUID(bytes=session_id), UUID(bytes=user_id), UUID(bytes=GAMES[0]), started, started)
                for user_id, session_id in zip(crowd.users, sessions, strict=True)
            ],
            timeout=COPY_TIMEOUT_S,
        )
        await connection.execute("vacuum analyze", timeout=COPY_TIMEOUT_S)
        await connection.execute("checkpoint", timeout=COPY_TIMEOUT_S)
    finally:
        await connection.close()


async def live_sessions(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("select count(*) from playtime_sessions where end_time is null"))
    finally:
        await connection.close()
