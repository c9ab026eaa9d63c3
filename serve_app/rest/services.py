"""What the routes work with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request

from actors.copies.answering import LibraryPages
from actors.domain.ids import UserId
from actors.history import SessionHistory
from actors.ports import Accounts, Catalog, Downloads
from serve_app.auth import Authenticator
from serve_app.error_answers import ErrorAnswers
from serve_app.errors import ApiError
from serve_app.fast_path import SessionEndpoint
from serve_app.negotiation import accepts_json, trace_of
from serve_app.ports import ServiceClock, UserActors
from serve_app.rate_limits import RateLimits
from serve_app.reading import invalid_parameter


@dataclass(frozen=True, kw_only=True)
class Services:
    """``metrics_page`` is the exposition of all processes of the node and its content type."""

    actors: UserActors
    pages: LibraryPages
    catalog: Catalog
    downloads: Downloads
    accounts: Accounts
    history: SessionHistory
    service_now: ServiceClock
    sessions: SessionEndpoint
    authenticator: Authenticator
    rates: RateLimits
    errors: ErrorAnswers
    metrics_page: Callable[[], Awaitable[tuple[bytes, str]]]
    accepting: Callable[[], bool]
    command_timeout_s: float


async def caller(services: Services, request: Request) -> UserId:
    """The user; ``ApiError`` 401, 429, 406, or 400 for a query parameter that is repeated."""
    user_id = await services.authenticator.authenticate(request.scope["headers"])
    services.rates.check(user_id, "read" if request.method == "GET" else "write")
    if not accepts_json(request.headers.get("accept", "*/*").encode("latin-1")):
        raise ApiError("NOT_ACCEPTABLE", "this resource is application/json")
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name in seen:
            raise invalid_parameter("the parameter is repeated", name)
        seen.add(name)
    return user_id


def no_parameters(request: Request) -> None:
    for name in request.query_params:
        raise invalid_parameter("there are no query parameters here", name)


def trace_id(request: Request) -> str | None:
    traceparent = request.headers.get("traceparent")
    return None if traceparent is None else trace_of(traceparent.encode("latin-1"))
