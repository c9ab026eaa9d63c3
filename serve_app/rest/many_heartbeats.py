"""``POST /playtime/heartbeats``: many sessions in one call (R-PT-7).

Who carries the role of a game server may beat for everybody's sessions. For anyone else a session of another user is
answered like one that does not exist, and nobody is asked about it (R-SEC-2).
"""

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET

from actors.domain.ids import SessionId, UserId, format_id, format_time, parse_id
from actors.domain.replies import HeartbeatCounted, Refused, Reply
from serve_app.auth import GAME_SERVER
from serve_app.batch_bodies import BeatData, BeatResult, BeatResults, BeatsRequest, CountedAttributes
from serve_app.bodies import BASE
from serve_app.errors import Language, error_objects, language_of
from serve_app.many_heartbeats import Beat, beat_many
from serve_app.outcomes import error_of, json_answer
from serve_app.reading import read_body_id
from serve_app.rest.body import body_of, use_key
from serve_app.rest.openapi import MANY_HEARTBEATS
from serve_app.rest.route import guarded_route, response
from serve_app.rest.services import Services, caller, no_parameters, trace_id

NOBODYS: Reply = Refused("SESSION_NOT_FOUND")
TOO_FAST: Reply = Refused("RATE_LIMITED", "heartbeats of this user come too fast")


def many_heartbeats_router(services: Services) -> APIRouter:
    router = APIRouter(prefix=f"{BASE}/playtime", tags=["playtime"], route_class=guarded_route(services.errors))
    decoder = msgspec.json.Decoder(BeatsRequest)
    encode = msgspec.json.Encoder().encode

    @router.post("/heartbeats", **MANY_HEARTBEATS)
    async def many_heartbeats(request: Request) -> Response:
        user_id = await caller(services, request)
        no_parameters(request)
        for_everybody = GAME_SERVER in services.authenticator.roles(request.scope["headers"])
        asked = (await body_of(request, decoder)).data
        beats = [_beat(one, n, user_id) for n, one in enumerate(asked)]
        allowed = [beat for beat in beats if beat is not None and (for_everybody or beat.user_id == user_id)]
        key = await use_key(services, user_id, request)
        reply_of: dict[Beat, Reply] = {}
        if not for_everybody:
            reply_of = {beat: TOO_FAST for beat in dict.fromkeys(allowed) if not _admits(services, beat)}
            allowed = [beat for beat in allowed if beat not in reply_of]
        replies = await beat_many(
            services.actors, allowed, timeout_s=services.command_timeout_s, trace=trace_id(request), key=key
        )
        reply_of.update(zip(allowed, replies, strict=True))
        language = language_of(request.headers.get("accept-language", "").encode("latin-1"))
        results = [
            _result(one, NOBODYS if beat is None else reply_of.get(beat, NOBODYS), language)
            for one, beat in zip(asked, beats, strict=True)
        ]
        return response(json_answer(200, encode(BeatResults(results))))

    return router


def _admits(services: Services, beat: Beat) -> bool:
    return services.rates.admits_beat(beat.user_id, format_id(beat.session_id).encode())


def _beat(one: BeatData, n: int, user_id: UserId) -> Beat | None:
    """None for an id that is no UUID: nobody's session, as in a heartbeat that comes alone."""
    owner = user_id
    if one.attributes.user_id is not UNSET:
        owner = UserId(read_body_id(one.attributes.user_id, f"/data/{n}/attributes/user_id"))
    try:
        return Beat(owner, SessionId(parse_id(one.id)))
    except ValueError:
        return None


def _result(one: BeatData, reply: Reply, language: Language) -> BeatResult:
    if isinstance(reply, HeartbeatCounted):
        counted = CountedAttributes(format_time(reply.accepted_at), reply.interval_s)
        return BeatResult("playtimeHeartbeat", one.id, counted)
    return BeatResult("playtimeHeartbeat", one.id, error=error_objects(error_of(reply), language)[0])
