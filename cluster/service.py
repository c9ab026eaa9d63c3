"""Starting, upgrading and stopping the service on a Ray cluster.

Starting is idempotent: processes that run this release with these settings are kept, so it also serves to bring back
what is missing and to roll out what is new. Ray does the rest of the life in between: it restarts what dies, and the
supervisor creates what is gone.
"""

import asyncio
import logging
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import ray
from msgspec import Struct
from ray import serve
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy
from ray.util import list_named_actors

from actors.ray_control import PROCESS_OPTIONS
from actors.ray_service import RayService
from actors.rollout import HOST_PREFIX, latest
from cluster.errors import ServiceError
from cluster.fleet import with_fleet
from cluster.settings import Settings
from cluster.wiring import ingress, relay, supervisor
from cluster.wiring.fleet import NODE, ray_node_address, to_be_started
from serve_app.ray_api import LibraryApi, LibraryRpc

log = logging.getLogger(__name__)

APPLICATION = "library"
RPC_APPLICATION = "library-rpc"
CONNECT_TIMEOUT_S = 20.0
READY_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
DOOR_GRACE_S = 15.0
Progress = Callable[[str], None]


class Release(Struct, frozen=True, kw_only=True):
    """What is started, as ``module:function``."""

    supervisor: str = "cluster.wiring.supervisor:make"
    door: str = "cluster.wiring.door:make"
    rpc: str = "cluster.wiring.rpc:make"


THIS_RELEASE = Release()


def connect(settings: Settings) -> None:
    """Joins the Ray cluster as a driver; ``ServiceError`` when it is not there."""
    try:
        ray.init(
            address=settings.cluster.ray_address or "auto",
            namespace=settings.cluster.name,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
        )
    except (ConnectionError, RuntimeError, ValueError) as failed:
        raise ServiceError(f"cannot join the Ray cluster at {settings.cluster.ray_address}: {failed}") from failed


def start(settings: Settings, progress: Progress, release: Release = THIS_RELEASE) -> None:
    """Creates the supervisor (which creates the hosts, the ingress and the relay) and the doors. ``connect`` first.

    What runs already under the same release and settings stays. A supervisor of another is replaced, and replaces the
    processes that it watches over one after another; Serve does the same with the doors.
    """
    settings = to_be_started(settings)
    plain = settings.to_plain()
    progress("engine")
    _end_a_supervisor_of_another_release(settings)
    service_class: Any = RayService  # what the decorator made of the class
    service_class.options(
        name=supervisor.NAME,
        namespace=settings.cluster.name,
        lifetime="detached",
        get_if_exists=True,
        **PROCESS_OPTIONS,
    ).remote(release.supervisor, plain)
    progress("doors")
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    serve.start(proxy_location="Disabled")
    serve.run(doors(settings, LibraryApi, release.door, plain), name=APPLICATION, route_prefix=None)
    if settings.grpc.doors == "own":
        serve.run(doors(settings, LibraryRpc, release.rpc, plain), name=RPC_APPLICATION, route_prefix=None)


def _end_a_supervisor_of_another_release(settings: Settings) -> None:
    running = asyncio.run(with_fleet(settings, lambda fleet: fleet.processes()))
    former = latest(running).get(supervisor.NAME)
    if former is not None and former.info.release != settings.cluster.release:
        with suppress(ValueError):  # it is gone already
            _stop_processes(settings, [supervisor.NAME])


def doors(settings: Settings, deployment: Any, factory: str, plain: dict[str, Any]) -> Any:
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


def wait_until_ready(settings: Settings, timeout_s: float = READY_TIMEOUT_S) -> None:
    """Until a door says that it is ready (``/readyz``); ``ServiceError`` when the time is up."""
    url, context = f"{base_url(settings)}/readyz", _trust_in_ourselves(settings)
    deadline = time.monotonic() + timeout_s
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2, context=context) as answer:
                if answer.status == HTTPStatus.OK:
                    return
        except urllib.error.HTTPError as error:
            last = f"{error.code}"
        except OSError as error:
            last = str(error)
        time.sleep(0.1)
    raise ServiceError(f"the service is not ready after {timeout_s:.0f} s: {url} says {last}")


def base_url(settings: Settings) -> str:
    """Where a client on this machine reaches the door."""
    host = settings.server.http_host
    host = ray_node_address() if host == NODE else host
    scheme = "http" if settings.tls.certificate_file is None else "https"
    return f"{scheme}://{'127.0.0.1' if host == '0.0.0.0' else host}:{settings.server.http_port}"


def _trust_in_ourselves(settings: Settings) -> ssl.SSLContext | None:
    """For asking our own door by address: its certificate is the one that is believed, whoever signed it."""
    if settings.tls.certificate_file is None:
        return None
    context = ssl.create_default_context(cafile=settings.tls.certificate_file)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def stop(settings: Settings) -> None:
    """Drains the doors, then ends the engine: everything is flushed. The cluster stays."""
    serve.shutdown()  # type: ignore[no-untyped-call]
    names = [str(actor["name"]) for actor in list_named_actors(all_namespaces=True) if _ours(settings, actor)]
    hosts = [name for name in names if name.startswith(HOST_PREFIX)]
    # The supervisor first, or it would create again what ends; the relay last, so that it can carry what hosts flush.
    for group in ([supervisor.NAME], [ingress.NAME], hosts, [relay.NAME]):
        _stop_processes(settings, [name for name in group if name in names])


def _ours(settings: Settings, actor: Any) -> bool:
    return bool(actor["namespace"] == settings.cluster.name)


def _stop_processes(settings: Settings, names: list[str]) -> None:
    actors = [ray.get_actor(name, settings.cluster.name) for name in names]
    stopping: list[Any] = [actor.stop.remote() for actor in actors]
    if stopping:
        _, late = ray.wait(stopping, num_returns=len(stopping), timeout=STOP_TIMEOUT_S)
        if late:
            log.warning("%d processes did not stop in time", len(late))
    for actor in actors:
        ray.kill(actor)
