"""For load balancers and Prometheus (R-OBS-1); no authentication, so: to be kept from the outside."""

from fastapi import APIRouter, Response

from serve_app.errors import ApiError
from serve_app.outcomes import json_answer
from serve_app.rest.openapi import HEALTH, METRICS, READY
from serve_app.rest.route import guarded_route, response
from serve_app.rest.services import Services


def health_router(services: Services) -> APIRouter:
    router = APIRouter(tags=["operations"], route_class=guarded_route(services.errors))

    @router.get("/healthz", **HEALTH)
    async def healthz() -> Response:
        return response(json_answer(200, b'{"status":"ok"}'))

    @router.get("/readyz", **READY)
    async def readyz() -> Response:
        if not services.accepting():
            raise ApiError("SERVICE_UNAVAILABLE", "draining", retry_after_s=1)
        if not services.actors.map_complete:
            raise ApiError("SERVICE_UNAVAILABLE", "no complete map of shards yet", retry_after_s=1)
        return response(json_answer(200, b'{"status":"ready"}'))

    @router.get("/metrics", **METRICS)
    async def metrics() -> Response:
        body, content_type = await services.metrics_page()
        return Response(content=body, media_type=content_type)

    return router
