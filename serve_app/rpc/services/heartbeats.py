"""``LibrarySessionService.StreamHeartbeats``: the beats of a game server's sessions, for as long as it lives (R-RPC-2).

A message is decided before the next one is read, so a client that sends faster than its beats become durable is held
back by HTTP/2's own flow control: nothing queues here. Each beat has the guarantees of one that comes alone.
"""

from collections.abc import AsyncIterator

from library.v1 import library_session_service_pb2 as pb

from actors.domain.ids import SessionId, UserId, parse_id
from actors.domain.replies import HeartbeatCounted
from serve_app.many_heartbeats import MAX_BEATS, Beat, beat_many
from serve_app.outcomes import error_of
from serve_app.ports import UserActors
from serve_app.rpc.callers import Role
from serve_app.rpc.codes import invalid
from serve_app.rpc.methods import KIB, Call, Kind, Method
from serve_app.rpc.reading import check_user, read_id, timeout_s

SERVICE = "library.v1.LibrarySessionService"
MAX_FAILURES = 1_000
SILENCE_S = 600.0


class Heartbeats:
    def __init__(self, actors: UserActors, *, command_timeout_s: float) -> None:
        self._actors = actors
        self._timeout_s = command_timeout_s

    async def stream(
        self, requests: AsyncIterator[pb.StreamHeartbeatsRequest], call: Call
    ) -> pb.StreamHeartbeatsResponse:
        told = pb.StreamHeartbeatsResponse()
        async for request in requests:
            await self._beat(request, call, told)
        return told

    async def _beat(self, request: pb.StreamHeartbeatsRequest, call: Call, told: pb.StreamHeartbeatsResponse) -> None:
        if len(request.heartbeats) > MAX_BEATS:
            raise invalid("heartbeats", f"has {len(request.heartbeats)} beats, at most {MAX_BEATS} are allowed")
        beats: list[Beat] = []
        positions: list[int] = []
        first = told.received_count
        for position, one in enumerate(request.heartbeats):
            user_id = UserId(read_id(one.user_id, f"heartbeats[{position}].user_id"))
            check_user(call, user_id)
            try:
                beats.append(Beat(user_id, SessionId(parse_id(one.session_id))))
                positions.append(position)
            except ValueError:  # nobody's session: indistinguishable from an unknown one (R-SEC-2)
                _note(told, first + position, one, "SESSION_NOT_FOUND")
        told.received_count += len(request.heartbeats)
        replies = await beat_many(self._actors, beats, timeout_s=timeout_s(call, self._timeout_s), trace=call.trace)
        for position, reply in zip(positions, replies, strict=True):
            if type(reply) is HeartbeatCounted:
                told.accepted_count += 1
            else:
                _note(told, first + position, request.heartbeats[position], error_of(reply).entry.code)


def _note(told: pb.StreamHeartbeatsResponse, index: int, beat: pb.SessionHeartbeat, code: str) -> None:
    told.failed_count += 1
    if len(told.failures) < MAX_FAILURES:
        told.failures.add(index=index, user_id=beat.user_id, session_id=beat.session_id, code=code)


def session_methods(heartbeats: Heartbeats) -> list[Method]:
    return [
        Method(
            service=SERVICE,
            name="StreamHeartbeats",
            kind=Kind.CLIENT_STREAM,
            request=pb.StreamHeartbeatsRequest,
            handler=heartbeats.stream,
            role=Role.GAME_SERVER,
            by_user=True,
            message_bytes=128 * KIB,
            in_work=1_000,
            idle_s=SILENCE_S,
        )
    ]
