"""Play sessions: the three calls as documented routes, history, live sessions, statistics (R-PT-1, R-PT-5)."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from actors.domain.commands import ListLiveSessions, Settle
from actors.domain.ids import ProductId, UserId
from actors.domain.replies import Done, LiveSessions
from actors.history import HistoryPosition
from actors.ports import StoreUnavailable
from serve_app.bodies import (
    BASE,
    Document,
    PageLinks,
    SessionList,
    live_session_body,
    recorded_session_body,
    stats_body,
)
from serve_app.errors import ApiError
from serve_app.outcomes import json_answer, raise_for
from serve_app.reading import read_parameter_id
from serve_app.rest.cursor import CURSOR, read_cursor, write_cursor
from serve_app.rest.links import link
from serve_app.rest.openapi import ACTIVE_SESSIONS, HEARTBEAT, SESSION_END, SESSION_LIST, SESSION_START, STATS
from serve_app.rest.route import guarded_route, response
from serve_app.rest.services import Services, caller, no_parameters, trace_id

SESSIONS_PATH = f"{BASE}/playtime/sessions"


class HistoryQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    product_id: str | None = Field(
        None, description="Sessions of this product only", json_schema_extra={"format": "uuid"}
    )
    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(
        None, max_length=64, description="From `links.next` of the page before", json_schema_extra={"pattern": CURSOR}
    )


def playtime_router(services: Services) -> APIRouter:
    router = APIRouter(prefix=f"{BASE}/playtime", tags=["playtime"], route_class=guarded_route(services.errors))
    encode = msgspec.json.Encoder().encode

    async def current(request: Request) -> UserId:
        return await caller(services, request)

    Caller = Annotated[UserId, Depends(current)]

    @router.post("/sessions/start", **SESSION_START)
    async def start_session(request: Request) -> Response:
        return response(await services.sessions.answer("start", "", request.scope, request.receive))

    @router.post("/sessions/{session_id}/heartbeat", **HEARTBEAT)
    async def heartbeat(session_id: str, request: Request) -> Response:
        return response(await services.sessions.answer("heartbeat", session_id, request.scope, request.receive))

    @router.post("/sessions/{session_id}/end", **SESSION_END)
    async def end_session(session_id: str, request: Request) -> Response:
        return response(await services.sessions.answer("end", session_id, request.scope, request.receive))

    @router.get("/sessions", **SESSION_LIST)
    async def session_history(user_id: Caller, request: Request, query: Annotated[HistoryQuery, Query()]) -> Response:
        product_id = None if query.product_id is None else ProductId(read_parameter_id(query.product_id, "product_id"))
        before = None if query.cursor is None else read_cursor(query.cursor)
        await _settle(services, user_id, request)
        try:
            found = await services.history.page(user_id, product_id=product_id, before=before, limit=query.limit + 1)
        except StoreUnavailable as away:
            raise ApiError("SERVICE_UNAVAILABLE", "the history cannot be read now", retry_after_s=1) from away
        shown, given = found[: query.limit], query.model_dump(exclude_unset=True)
        links = PageLinks(link(SESSIONS_PATH, given))
        if len(found) > query.limit:
            last = shown[-1]
            cursor = write_cursor(HistoryPosition(started_at=last.started_at, session_id=last.session_id))
            links = PageLinks(link(SESSIONS_PATH, given), link(SESSIONS_PATH, {**given, "cursor": cursor}))
        return response(json_answer(200, encode(SessionList([recorded_session_body(s) for s in shown], links))))

    @router.get("/sessions/active", **ACTIVE_SESSIONS)
    async def live_sessions(user_id: Caller, request: Request) -> Response:
        no_parameters(request)
        reply = await services.actors.call(
            user_id, ListLiveSessions(), timeout_s=services.command_timeout_s, trace=trace_id(request)
        )
        if not isinstance(reply, LiveSessions):
            raise_for(reply)
        links = PageLinks(f"{SESSIONS_PATH}/active")
        return response(json_answer(200, encode(SessionList([live_session_body(s) for s in reply.sessions], links))))

    @router.get("/stats", **STATS)
    async def playtime_stats(user_id: Caller, request: Request) -> Response:
        no_parameters(request)
        await _settle(services, user_id, request)
        try:
            stats = await services.history.stats(user_id, now=services.service_now())
        except StoreUnavailable as away:
            raise ApiError("SERVICE_UNAVAILABLE", "statistics cannot be read now", retry_after_s=1) from away
        return response(json_answer(200, encode(Document(stats_body(user_id, stats)))))

    return router


async def _settle(services: Services, user_id: UserId, request: Request) -> None:
    """The tables show all that the user has done so far (promise 5)."""
    reply = await services.actors.call(user_id, Settle(), timeout_s=services.command_timeout_s, trace=trace_id(request))
    if not isinstance(reply, Done):
        raise_for(reply)
