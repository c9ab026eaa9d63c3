"""Routes whose every ending has the one error shape (R-ERR-1): nothing they raise reaches the framework."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from serve_app.error_answers import ErrorAnswers
from serve_app.errors import ApiError, Fault
from serve_app.fast_path import ClientGone, described
from serve_app.outcomes import Answer
from serve_app.reading import plain

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def response(answer: Answer) -> Response:
    made = Response(content=answer.body, status_code=answer.status)
    made.raw_headers = answer.headers
    return made


def error_response(errors: ErrorAnswers, error: ApiError, request: Request) -> Response:
    return response(errors.error(error, **described(request.scope)))


def guarded_route(errors: ErrorAnswers) -> type[APIRoute]:
    """A route class for ``APIRouter(route_class=...)``."""

    class GuardedRoute(APIRoute):
        def get_route_handler(self) -> Handler:
            handle = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                try:
                    return await handle(request)
                except ApiError as error:
                    return error_response(errors, error, request)
                except RequestValidationError as invalid:
                    return error_response(errors, _faults(invalid), request)
                except ClientGone:
                    return Response(status_code=400)  # which nobody will read
                except Exception as bug:  # noqa: BLE001  # the last frame before the client: a bug is an incident
                    return response(errors.crash(bug, **described(request.scope)))

            return guarded

    return GuardedRoute


def _faults(invalid: RequestValidationError) -> ApiError:
    faults = []
    for problem in invalid.errors()[:10]:
        kind, *place = problem["loc"]
        name = plain(str(place[0])) if place else None
        detail = "unknown query parameter" if problem["type"] == "extra_forbidden" else plain(problem["msg"])
        faults.append(Fault(detail=detail, parameter=name if kind == "query" else None))
    return ApiError("VALIDATION_ERROR", faults=faults)
