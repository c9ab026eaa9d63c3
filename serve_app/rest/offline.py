"""``POST /playtime/sessions/offline``: finished sessions that the client recorded itself (R-PT-6).

A body that can't be read is a 400 and changes nothing. What it says is judged session by session, and each gets its own
result; one that was taken before gets the same again.
"""

import msgspec
from fastapi import APIRouter, Request, Response

from actors.domain.commands import AddOfflineSessions, OfflinePlay
from actors.domain.ids import ClientSessionId, Micros, ProductId, UserId, format_id, parse_time
from actors.domain.offline import offline_session_id
from actors.domain.replies import OfflineRefusal, OfflineResult, OfflineResults
from serve_app.batch_bodies import (
    OfflineData,
    OfflineRequest,
    OfflineResultAttributes,
    OfflineSessionResult,
    OfflineSessionResults,
)
from serve_app.bodies import BASE
from serve_app.errors import ApiError, Language, error_objects, language_of
from serve_app.outcomes import json_answer, raise_for
from serve_app.reading import invalid_body, read_body_id
from serve_app.rest.body import body_of, key_of
from serve_app.rest.openapi import OFFLINE_SESSIONS
from serve_app.rest.route import guarded_route, response
from serve_app.rest.services import Services, caller, no_parameters, trace_id

_REASONS: dict[OfflineRefusal, ApiError] = {
    "not_positive": ApiError("OFFLINE_SESSION_IMPOSSIBLE", "it does not last a whole second"),
    "in_future": ApiError("OFFLINE_SESSION_IMPOSSIBLE", "it ends in the future; by then it may be sent again"),
    "too_long": ApiError("OFFLINE_SESSION_IMPOSSIBLE", "it is longer than seven days"),
    "before_acquisition": ApiError("OFFLINE_SESSION_IMPOSSIBLE", "it begins before the product was acquired"),
    "day_full": ApiError("OFFLINE_SESSION_IMPOSSIBLE", "a UTC day would have more than 24 hours of play"),
    "too_fragmented": ApiError(
        "OFFLINE_SESSION_IMPOSSIBLE", "the user's other sessions cut its days into too many pieces"
    ),
    "id_reused": ApiError("OFFLINE_SESSION_ID_REUSED", "another session was recorded under this id"),
    "not_owned": ApiError("LIBRARY_ITEM_NOT_FOUND", "the product is not in the library"),
}


def offline_router(services: Services) -> APIRouter:
    router = APIRouter(prefix=f"{BASE}/playtime", tags=["playtime"], route_class=guarded_route(services.errors))
    decoder = msgspec.json.Decoder(OfflineRequest)
    encode = msgspec.json.Encoder().encode

    @router.post("/sessions/offline", **OFFLINE_SESSIONS)
    async def add_offline_sessions(request: Request) -> Response:
        user_id = await caller(services, request)
        no_parameters(request)
        asked = (await body_of(request, decoder)).data
        plays = tuple(_play(user_id, one, f"/data/{n}") for n, one in enumerate(asked))
        reply = await services.actors.call(
            user_id,
            AddOfflineSessions(plays),
            timeout_s=services.command_timeout_s,
            command_id=await key_of(request, user_id),
            trace=trace_id(request),
        )
        if not isinstance(reply, OfflineResults):
            raise_for(reply)
        language = language_of(request.headers.get("accept-language", "").encode("latin-1"))
        results = [
            _result(one, play, outcome, language)
            for one, play, outcome in zip(asked, plays, reply.results, strict=True)
        ]
        return response(json_answer(200, encode(OfflineSessionResults(results))))

    return router


def _play(user_id: UserId, one: OfflineData, place: str) -> OfflinePlay:
    client_id = ClientSessionId(read_body_id(one.id, f"{place}/id"))
    told = one.attributes
    return OfflinePlay(
        offline_session_id(user_id, client_id),
        client_id,
        ProductId(read_body_id(told.product_id, f"{place}/attributes/product_id")),
        _time(told.start_time, f"{place}/attributes/start_time"),
        _time(told.end_time, f"{place}/attributes/end_time"),
        told.device_id or "",
        told.platform,
    )


def _time(text: str, pointer: str) -> Micros:
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        raise invalid_body("not an RFC 3339 time with an offset", pointer) from None


def _result(one: OfflineData, play: OfflinePlay, outcome: OfflineResult, language: Language) -> OfflineSessionResult:
    if isinstance(outcome, int):
        taken = OfflineResultAttributes(session_id=format_id(play.session_id), credited_seconds=outcome)
        return OfflineSessionResult("offlineSession", one.id, taken)
    error = error_objects(_REASONS[outcome], language)[0]
    return OfflineSessionResult("offlineSession", one.id, OfflineResultAttributes(reason=outcome), error)
