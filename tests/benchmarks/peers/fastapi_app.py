"""The peer in Python: FastAPI and asyncpg, as a careful engineer would write it.

Tokens are verified once and remembered. A heartbeat is one statement; only when it hits nothing, a second one finds out
why. A start is one transaction that locks the user's item first, so that two devices cannot both have a live session of
it. Events go out by an outbox that a task of each worker empties. The pool's connections hold no session state, so they
are not reset between two uses.
"""

import asyncio
import gc
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import asyncpg
import jwt
from aiokafka import AIOKafkaProducer
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from pydantic import BaseModel

BASE = "/api/v1/library/playtime/sessions"
INTERVAL_S = 60
MAX_LIVE = 5
REMEMBERED_TOKENS = 200_000
RELAY_ROWS = 1_000
GC_THRESHOLDS = (50_000, 20, 50)
"""The remembered tokens are many objects that never form cycles: walking them all the time is felt in P99."""

HEARTBEAT = """
update playtime_sessions set last_heartbeat_at = now()
where id = $1 and user_id = $2 and end_time is null
returning last_heartbeat_at
"""
ENDED = "select end_time is not null from playtime_sessions where id = $1 and user_id = $2"
LOCK_ITEM = """
update user_library_items set last_played_at = now(), updated_at = now()
where user_id = $1 and product_id = $2
returning id
"""
LIVE = """
select id, product_id, device_id, start_time, last_heartbeat_at from playtime_sessions
where user_id = $1 and end_time is null
"""
END_BY_TAKEOVER = """
update playtime_sessions set end_time = last_heartbeat_at, end_reason = 'takeover',
       duration_seconds = extract(epoch from last_heartbeat_at - start_time)
where id = $1
"""
START = """
with started as (
    insert into playtime_sessions (id, user_id, product_id, start_time, last_heartbeat_at, platform, device_id)
    values ($1, $2, $3, now(), now(), $4, $5)
    returning start_time
), announced as (
    insert into outbox (user_id, body) values ($2, $6)
)
select start_time from started
"""
TAKE_EVENTS = """
delete from outbox where id in (select id from outbox order by id limit $1 for update skip locked)
returning id, user_id, body
"""


class Attributes(BaseModel):
    product_id: UUID
    platform: str | None = None
    device_id: str | None = None


class Data(BaseModel):
    type: str
    attributes: Attributes


class StartRequest(BaseModel):
    data: Data


def _read(path: Path) -> str:
    return path.read_text()


async def _keep_as_it_is(_connection: asyncpg.Connection) -> None:
    """No statement here leaves anything behind in a connection."""


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    gc.set_threshold(*GC_THRESHOLDS)
    size = int(os.environ["PEER_CONNECTIONS"])
    state = app.state
    state.pool = await asyncpg.create_pool(
        os.environ["PEER_DSN"], min_size=size, max_size=size, reset=_keep_as_it_is, max_inactive_connection_lifetime=0
    )
    keys = jwt.PyJWKSet.from_json(_read(Path(os.environ["PEER_JWKS_FILE"]))).keys
    state.keys = {key.key_id: key.key for key in keys}
    state.remembered = {}
    producer = AIOKafkaProducer(bootstrap_servers=os.environ["PEER_KAFKA"], acks="all", linger_ms=5)
    await producer.start()
    relay = asyncio.create_task(_relay(state.pool, producer, os.environ["PEER_TOPIC"]))
    yield
    relay.cancel()
    await asyncio.gather(relay, return_exceptions=True)
    await producer.stop()
    await state.pool.close()


app = FastAPI(lifespan=_life)


async def current_user(request: Request, authorization: Annotated[str, Header()]) -> UUID:
    state = request.app.state
    remembered = state.remembered.get(authorization)
    if remembered is not None and time.time() < remembered[1]:
        known: UUID = remembered[0]
        return known
    scheme, _, token = authorization.partition(" ")
    try:
        key = state.keys[jwt.get_unverified_header(token).get("kid")]
        claims = jwt.decode(token, key, algorithms=["RS256"], options={"require": ["exp", "sub"]})
        user_id = UUID(claims["sub"])
    except (jwt.PyJWTError, KeyError, ValueError) as bad:
        raise HTTPException(401, "UNAUTHENTICATED") from bad
    if scheme.lower() != "bearer":
        raise HTTPException(401, "UNAUTHENTICATED")
    if len(state.remembered) >= REMEMBERED_TOKENS:
        del state.remembered[next(iter(state.remembered))]
    state.remembered[authorization] = (user_id, claims["exp"])
    return user_id


User = Annotated[UUID, Depends(current_user)]


@app.post(BASE + "/{session_id}/heartbeat")
async def heartbeat(session_id: UUID, user_id: User, request: Request) -> Response:
    pool = request.app.state.pool
    accepted_at = await pool.fetchval(HEARTBEAT, session_id, user_id)
    if accepted_at is None:
        ended = await pool.fetchval(ENDED, session_id, user_id)
        raise HTTPException(404, "SESSION_NOT_FOUND") if ended is None else HTTPException(409, "SESSION_ENDED")
    return Response(
        status_code=204,
        headers={"Library-Accepted-At": _text(accepted_at), "Library-Next-Heartbeat-Seconds": str(INTERVAL_S)},
    )


@app.post(BASE + "/start")
async def start(asked: StartRequest, user_id: User, request: Request) -> Response:
    wanted = asked.data.attributes
    device_id = wanted.device_id or ""
    session_id = uuid4()
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        if await connection.fetchval(LOCK_ITEM, user_id, wanted.product_id) is None:
            raise HTTPException(404, "LIBRARY_ITEM_NOT_FOUND")
        live = await connection.fetch(LIVE, user_id)
        same = next((row for row in live if row["product_id"] == wanted.product_id), None)
        if same is not None and same["device_id"] == device_id:
            return _session(200, same["id"], wanted, same["start_time"], same["last_heartbeat_at"])
        if same is not None:
            await connection.execute(END_BY_TAKEOVER, same["id"])
        elif len(live) >= MAX_LIVE:
            raise HTTPException(422, "LIVE_SESSION_LIMIT_REACHED")
        event = _event(user_id, session_id, wanted.product_id)
        started_at = await connection.fetchval(
            START, session_id, user_id, wanted.product_id, wanted.platform, device_id, event
        )
    return _session(201, session_id, wanted, started_at, started_at)


def _session(status: int, session_id: UUID, wanted: Attributes, started_at: datetime, beat_at: datetime) -> Response:
    body = {
        "data": {
            "type": "playtimeSession",
            "id": str(session_id),
            "attributes": {
                "product_id": str(wanted.product_id),
                "start_time": _text(started_at),
                "status": "active",
                "platform": wanted.platform,
                "device_id": wanted.device_id,
            },
        }
    }
    return Response(
        json.dumps(body),
        status_code=status,
        media_type="application/json",
        headers={"Library-Accepted-At": _text(beat_at), "Library-Next-Heartbeat-Seconds": str(INTERVAL_S)},
    )


def _event(user_id: UUID, session_id: UUID, product_id: UUID) -> bytes:
    body: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "/library-service",
        "type": "library.playtime.session.started.v1",
        "subject": str(user_id),
        "datacontenttype": "application/json",
        "data": {"user_id": str(user_id), "session_id": str(session_id), "product_id": str(product_id)},
    }
    return json.dumps(body).encode()


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def _relay(pool: asyncpg.Pool, producer: AIOKafkaProducer, topic: str) -> None:
    while True:
        async with pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(TAKE_EVENTS, RELAY_ROWS)
            rows.sort(key=lambda row: row["id"])
            sent = [await producer.send(topic, row["body"], key=row["user_id"].bytes) for row in rows]
            await asyncio.gather(*sent)
        if len(rows) < RELAY_ROWS:
            await asyncio.sleep(0.2)
