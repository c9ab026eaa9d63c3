"""Heartbeats for many sessions in one call (R-PT-7): for game servers and gateways, over HTTP and gRPC alike.

Each beat is the same command as one that comes alone, so it has the same guarantees and the same answers; all of them
leave in one turn of the event loop, in as few frames as a frame may hold calls.
"""

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from actors.domain.commands import Heartbeat
from actors.domain.ids import CommandId, SessionId, UserId
from actors.domain.remembering import part_key
from actors.domain.replies import Reply
from serve_app.many_calls import call_many
from serve_app.ports import UserActors

MAX_BEATS = 1_000


class Beat(Struct, frozen=True):
    """The session and whose it is: a session is found through its user alone."""

    user_id: UserId
    session_id: SessionId


async def beat_many(
    actors: UserActors,
    beats: Sequence[Beat],
    *,
    timeout_s: float,
    trace: str | None = None,
    key: CommandId | None = None,
) -> list[Reply]:
    """One reply a beat, in their order: ``HeartbeatCounted``, or what that heartbeat alone would have met.

    Whether the caller may beat for these users, and whether its ``key`` came with another request before, is the door's
    to decide before; with a key each beat is remembered by its own user's actor. A session that is named twice beats
    once. ``ValueError`` for more than ``MAX_BEATS``.
    """
    if len(beats) > MAX_BEATS:
        raise ValueError(f"{len(beats)} heartbeats, at most {MAX_BEATS} are allowed")
    once = list(dict.fromkeys(beats))
    if key is None:
        questions = [(beat.user_id, Heartbeat(beat.session_id)) for beat in once]
        replies = await call_many(actors, questions, timeout_s=timeout_s, trace=trace)
    else:
        replies = await asyncio.gather(
            *(
                actors.call(
                    beat.user_id,
                    Heartbeat(beat.session_id),
                    timeout_s=timeout_s,
                    command_id=part_key(key, beat.user_id, beat.session_id),
                    trace=trace,
                )
                for beat in once
            )
        )
    if len(once) == len(beats):
        return replies
    reply_of = dict(zip(once, replies, strict=True))
    return [reply_of[beat] for beat in beats]
