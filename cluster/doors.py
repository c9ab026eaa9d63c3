"""The doors as Serve applications: started or brought to this release, and ended where none are wanted any more."""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ray import serve
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview

from cluster.errors import ServiceError
from cluster.settings import Settings
from serve_app.ray_api import LibraryApi, LibraryRpc

APPLICATION = "library"
RPC_APPLICATION = "library-rpc"
DOOR_GRACE_S = 15.0
RUN_TIMEOUT_S = 300.0
"""Serve replaces a fifth of the doors at a time, and each that leaves has its grace."""
POLL_S = 0.2

Applications = Mapping[str, ApplicationStatusOverview]


def open_doors(settings: Settings, door: str, rpc: str, timeout_s: float = RUN_TIMEOUT_S) -> None:
    """Returns when all doors run with these settings; ``ServiceError`` when they cannot, or not in time.

    ``door`` and ``rpc`` name what makes the life of each process. gRPC doors of former settings go last: whoever takes
    their port is there by then.
    """
    plain = settings.to_plain()
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    serve.start(proxy_location="Disabled")
    wanted = {APPLICATION: _doors(settings, LibraryApi, door, plain)}
    if settings.grpc.doors == "own":
        wanted[RPC_APPLICATION] = _doors(settings, LibraryRpc, rpc, plain)
    serve.run_many(
        [serve.RunTarget(target=target, name=name, route_prefix=None) for name, target in wanted.items()],
        wait_for_ingress_deployment_creation=False,
        wait_for_applications_running=False,
    )
    wait_until_they_run(lambda: serve.status().applications, wanted, timeout_s)
    if RPC_APPLICATION not in wanted and RPC_APPLICATION in serve.status().applications:
        serve.delete(RPC_APPLICATION)


def wait_until_they_run(read: Callable[[], Applications], names: Collection[str], timeout_s: float) -> None:
    """Until all of them do; ``ServiceError`` when one failed, or when the time is up, with what Serve says of it."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = read()
        late = [name for name in names if name not in found or found[name].status != ApplicationStatus.RUNNING]
        if not late:
            return
        for name in late:
            if name in found and found[name].status == ApplicationStatus.DEPLOY_FAILED:
                raise ServiceError(f"the doors of {name} cannot start: {_said(found[name])}")
        if time.monotonic() > deadline:
            said = "; ".join(f"{name}: {_said(found.get(name))}" for name in late)
            raise ServiceError(f"the doors do not run after {timeout_s:.0f} s: {said}")
        time.sleep(POLL_S)


def _said(status: ApplicationStatusOverview | None) -> str:
    """In one line. The last line of a traceback says what it was."""
    if status is None:
        return "Serve knows nothing of them"
    messages = [status.message, *(deployment.message for deployment in status.deployments.values())]
    ends = [message.strip().splitlines()[-1].strip() for message in messages if message.strip()]
    return ", ".join([status.status.value, *ends])


def _doors(settings: Settings, deployment: Any, factory: str, plain: dict[str, Any]) -> Any:
    """A deployment of doors; ``factory`` makes what lives in each of its processes."""
    return deployment.options(
        ray_actor_options={"num_cpus": 0},
        max_replicas_per_node=settings.server.max_doors_per_node,
        max_ongoing_requests=100,
        health_check_period_s=1,
        health_check_timeout_s=5,
        graceful_shutdown_timeout_s=DOOR_GRACE_S,
        autoscaling_config=AutoscalingConfig(
            min_replicas=settings.server.min_doors,
            max_replicas=settings.server.max_doors,
            upscale_delay_s=3,
            downscale_delay_s=60,
            metrics_interval_s=1,
            look_back_period_s=5,
            policy=AutoscalingPolicy(  # type: ignore[no-untyped-call]
                policy_function="serve_app.autoscaling:policy"
            ),
        ),
    ).bind(factory, plain)
