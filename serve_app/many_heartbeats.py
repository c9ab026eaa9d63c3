"""Heartbeats for many sessions in one call (R-PT-7): for game servers and gateways, over HTTP and gRPC alike.

Each beat is the same command as one that comes alone, so it has the same guarantees and the same answers. All calls are
made in one turn of the event loop: the link sends them in as few frames as a frame may hold calls.
"""

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from actors.domain.commands import Heartbeat
from actors.domain.ids import SessionId, UserId
from actors.domain.replies import Reply
from serve_app.ports import UserActors

MAX_BEATS = 1_000


class Beat(Struct, frozen=True):
    """The session and whose it is: a session is found through its user alone."""

    user_id: UserId
    session_id: SessionId


async def beat_many(
    actors: UserActors, beats: Sequence[Beat], *, timeout_s: float, trace: str | None = None
) -> list[Reply]:
    """One reply a beat, in their order: ``HeartbeatCounted``, or what that heartbeat alone would have met.

    Whether the caller may beat for these users is the door's to decide before. A session that is named twice beats
    once. ``ValueError`` for more than ``MAX_BEATS``.
    """
    if len(beats) > MAX_BEATS:
        raise ValueError(f"{len(beats)} heartbeats, at most {MAX_BEATS} are allowed")
    once = list(dict.fromkeys(beats))
    replies = await asyncio.gather(
        *(actors.call(beat.user_id, Heartbeat(beat.session_id), timeout_s=timeout_s, trace=trace) for beat in once)
    )
    if len(once) == len(beats):
        return replies
    reply_of = dict(zip(once, replies, strict=True))
    return [reply_of[beat] for beat in beats]
