"""The OpenAPI document: what each route takes, answers and refuses, from the same classes that read and write it."""

from typing import Any

from serve_app.batch_bodies import BeatResults, BeatsRequest, OfflineRequest, OfflineSessionResults
from serve_app.bodies import BASE, Document, Session, SessionList, StartRequest, Stats
from serve_app.errors import CODES
from serve_app.idempotency import PATTERN
from serve_app.rest.describing import EXAMPLES, FOR_POSTS, FOR_USERS, SCHEMAS, answer, json_content, route

_PRODUCT = "5f1b0a52-3c41-4c0e-9a57-0d8f3f6f2f10"
_SESSION = "8d2f4c1e-6b7a-4f0d-8c1b-2a3e4d5f6a7b"
_ITEM = "0b9f7f0e-9d3c-4e51-8f6e-6b1f8f2f3c4d"
_USER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

_LIVE_EXAMPLE = {
    "type": "playtimeSession",
    "id": _SESSION,
    "attributes": {
        "product_id": _PRODUCT,
        "start_time": "2024-03-15T18:00:00Z",
        "status": "active",
        "platform": "pc",
        "device_id": "living-room",
    },
}
_ENDED_EXAMPLE = {
    "type": "playtimeSession",
    "id": _SESSION,
    "attributes": {
        "product_id": _PRODUCT,
        "start_time": "2024-03-15T18:00:00Z",
        "status": "completed",
        "end_time": "2024-03-15T19:00:00Z",
        "duration_seconds": 3600,
        "end_reason": "client",
        "platform": "pc",
        "device_id": "living-room",
    },
}
_STATS_EXAMPLE = {
    "type": "playtimeStats",
    "id": _USER,
    "attributes": {
        "total_playtime_seconds": 72000,
        "total_sessions": 12,
        "last_two_weeks_seconds": 3600,
        "per_day": [{"date": "2024-03-15", "playtime_seconds": 3600}],
        "per_product": [{"product_id": _PRODUCT, "playtime_seconds": 72000, "sessions": 12}],
        "per_platform": [{"platform": "pc", "playtime_seconds": 72000, "sessions": 12}],
    },
}

_ACCEPTED_AT = {
    "Library-Accepted-At": {
        "description": "Service time of the session's last proof of life; it will not end before",
        "schema": {"type": "string", "format": "date-time"},
    }
}
_NEXT_HEARTBEAT = {
    "Library-Next-Heartbeat-Seconds": {
        "description": "When the next heartbeat is due; a session ends when it stays silent for five times as long",
        "schema": {"type": "integer", "minimum": 1},
    }
}

_START_EXAMPLE = {
    "data": {
        "type": "playtimeSessionStart",
        "attributes": {"product_id": _PRODUCT, "platform": "pc", "device_id": "living-room"},
    }
}

SESSION_START = route(
    "Start playing a product, or get the session that this device already has",
    {
        201: answer("A new session", Document[Session], {"data": _LIVE_EXAMPLE}, _ACCEPTED_AT | _NEXT_HEARTBEAT),
        200: answer(
            "This device's live session", Document[Session], {"data": _LIVE_EXAMPLE}, _ACCEPTED_AT | _NEXT_HEARTBEAT
        ),
    },
    *FOR_POSTS,
    "UNSUPPORTED_MEDIA_TYPE",
    "LIBRARY_ITEM_NOT_FOUND",
    "LIVE_SESSION_LIMIT_REACHED",
    openapi_extra={"requestBody": {"required": True, "content": json_content(StartRequest, _START_EXAMPLE)}},
)
HEARTBEAT = route(
    "Still playing",
    {204: answer("Counted", headers=_ACCEPTED_AT | _NEXT_HEARTBEAT)},
    *FOR_POSTS,
    "SESSION_NOT_FOUND",
    "SESSION_ENDED",
)
SESSION_END = route(
    "Stop playing; repeating it gives the same answer",
    {200: answer("The completed session", Document[Session], {"data": _ENDED_EXAMPLE}, _ACCEPTED_AT)},
    *FOR_POSTS,
    "SESSION_NOT_FOUND",
)
MANY_HEARTBEATS = route(
    "Still playing: many sessions at once; whose token has the role `game_server` may beat for every user's",
    {
        200: answer(
            "One result a session, in the order of the request",
            BeatResults,
            {
                "data": [
                    {
                        "type": "playtimeHeartbeat",
                        "id": _SESSION,
                        "attributes": {"accepted_at": "2024-03-15T18:01:00Z", "next_heartbeat_seconds": 60},
                    },
                    {
                        "type": "playtimeHeartbeat",
                        "id": _ITEM,
                        "error": {
                            "status": "409",
                            "code": "SESSION_ENDED",
                            "title": CODES["SESSION_ENDED"].ru,
                            "detail": "…",
                        },
                    },
                ]
            },
        )
    },
    *FOR_POSTS,
    "UNSUPPORTED_MEDIA_TYPE",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": json_content(
                BeatsRequest,
                {
                    "data": [
                        {"type": "playtimeHeartbeat", "id": _SESSION, "attributes": {"user_id": _USER}},
                        {"type": "playtimeHeartbeat", "id": _ITEM},
                    ]
                },
            ),
        }
    },
)
OFFLINE_SESSIONS = route(
    "Finished sessions that the client recorded offline; sending one again changes nothing",
    {
        200: answer(
            "One result a session, in the order of the request",
            OfflineSessionResults,
            {
                "data": [
                    {
                        "type": "offlineSession",
                        "id": _USER,
                        "attributes": {"session_id": _SESSION, "credited_seconds": 3600},
                    },
                    {
                        "type": "offlineSession",
                        "id": _ITEM,
                        "attributes": {"reason": "in_future"},
                        "error": {
                            "status": "422",
                            "code": "OFFLINE_SESSION_IMPOSSIBLE",
                            "title": CODES["OFFLINE_SESSION_IMPOSSIBLE"].ru,
                            "detail": "…",
                        },
                    },
                ]
            },
        )
    },
    *FOR_POSTS,
    "UNSUPPORTED_MEDIA_TYPE",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": json_content(
                OfflineRequest,
                {
                    "data": [
                        {
                            "type": "offlineSession",
                            "id": _USER,
                            "attributes": {
                                "product_id": _PRODUCT,
                                "start_time": "2024-03-15T18:00:00Z",
                                "end_time": "2024-03-15T19:00:00Z",
                            },
                        }
                    ]
                },
            ),
        }
    },
)
SESSION_LIST = route(
    "Sessions, newest first",
    {
        200: answer(
            "A page of sessions",
            SessionList,
            {"data": [_LIVE_EXAMPLE, _ENDED_EXAMPLE], "links": {"self": f"{BASE}/playtime/sessions"}},
        )
    },
    *FOR_USERS,
)
ACTIVE_SESSIONS = route(
    "The user's live sessions",
    {
        200: answer(
            "All of them",
            SessionList,
            {"data": [_LIVE_EXAMPLE], "links": {"self": f"{BASE}/playtime/sessions/active"}},
        )
    },
    *FOR_USERS,
)
STATS = route(
    "How much the user has played, by day, product and platform",
    {200: answer("Completed sessions only", Document[Stats], {"data": _STATS_EXAMPLE})},
    *FOR_USERS,
)
HEALTH = route("The process is alive", {200: answer("Alive")})
READY = route("The process can serve users", {200: answer("Ready")})
METRICS = route("Prometheus metrics of all processes of this node", {200: answer("Text exposition")})

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": (
        "A string of the client's own making, with or without quotes. For 24 hours the same request with the same key "
        "gets the answer of the first one that was not refused, and changes nothing again"
    ),
    "schema": {"type": "string", "pattern": f"^({PATTERN})$"},
    "example": '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
}
_OPEN = ("/healthz", "/readyz", "/metrics")


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's document plus our schemas and tokens, minus the 422 that it would answer and we do not."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for ours in ("HTTPValidationError", "ValidationError"):
        schemas.pop(ours, None)
    schemas.update(SCHEMAS)
    components["examples"] = EXAMPLES
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method == "post":
                operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
            content = operation["responses"].get("422", {}).get("content", {}).get("application/json", {})
            if content.get("schema", {}).get("$ref", "").endswith("/HTTPValidationError"):
                del operation["responses"]["422"]
            if path not in _OPEN:
                operation["security"] = [{"token": []}]
    return document
