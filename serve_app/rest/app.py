"""The FastAPI application."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from serve_app.bodies import BASE
from serve_app.errors import ApiError
from serve_app.rest.categories import categories_router
from serve_app.rest.contract import DESCRIPTION, with_common_parts
from serve_app.rest.health import health_router
from serve_app.rest.item_actions import item_actions_router
from serve_app.rest.items import items_router
from serve_app.rest.many_heartbeats import many_heartbeats_router
from serve_app.rest.offline import offline_router
from serve_app.rest.openapi import complete
from serve_app.rest.playtime import playtime_router
from serve_app.rest.route import error_response
from serve_app.rest.services import Services


class RestApp(FastAPI):
    """FastAPI, with a document that knows our bodies, errors and tokens."""

    def openapi(self) -> dict[str, Any]:
        if not self.openapi_schema:
            self.openapi_schema = with_common_parts(complete(super().openapi()))
        return self.openapi_schema


def rest_app(services: Services) -> RestApp:
    app = RestApp(
        title="Library Service",
        version="1",
        description=DESCRIPTION,
        openapi_url=f"{BASE}/openapi.json",
        docs_url=f"{BASE}/docs",
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
    )
    routers = [
        playtime_router(services),
        many_heartbeats_router(services),
        offline_router(services),
        items_router(services),
        item_actions_router(services),
        categories_router(services),
        health_router(services),
    ]
    for router in routers:
        app.include_router(router)
    routes = [*app.routes, *(route for router in routers for route in router.routes)]

    @app.exception_handler(HTTPException)
    async def unrouted(request: Request, raised: HTTPException) -> Response:
        return error_response(services.errors, _unrouted(routes, request, raised), request)

    return app


def _unrouted(routes: Sequence[BaseRoute], request: Request, raised: HTTPException) -> ApiError:
    if raised.status_code == 405:
        methods = sorted(_methods_of(routes, request))
        return ApiError(
            "METHOD_NOT_ALLOWED",
            f"this path answers to {', '.join(methods)}",
            headers=((b"allow", ", ".join(methods).encode()),),
        )
    if raised.status_code == 404:
        return ApiError("NOT_FOUND", "there is no such path")
    return ApiError("INTERNAL_ERROR", f"unexpected status {raised.status_code}")


def _methods_of(routes: Sequence[BaseRoute], request: Request) -> set[str]:
    found: set[str] = set()
    for route in routes:
        methods = getattr(route, "methods", None)
        if methods and route.matches(request.scope)[0] is not Match.NONE:
            found |= methods
    return found
