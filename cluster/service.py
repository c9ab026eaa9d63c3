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
from ray.util import list_named_actors

from actors.ray_control import PROCESS_OPTIONS
from actors.ray_service import RayService
from actors.rollout import HOST_PREFIX, latest
from cluster.doors import open_doors
from cluster.errors import ServiceError
from cluster.fleet import with_fleet
from cluster.settings import Settings
from cluster.wiring import ingress, relay, supervisor
from cluster.wiring.fleet import NODE, ray_node_address, to_be_started

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 20.0
READY_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
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
    processes that it watches over one after another; Serve does the same with the doors. ``ServiceError`` when the
    doors cannot start.
    """
    settings = to_be_started(settings)
    progress("engine")
    _end_a_supervisor_of_another_release(settings)
    service_class: Any = RayService  # what the decorator made of the class
    service_class.options(
        name=supervisor.NAME,
        namespace=settings.cluster.name,
        lifetime="detached",
        get_if_exists=True,
        **PROCESS_OPTIONS,
    ).remote(release.supervisor, settings.to_plain())
    progress("doors")
    open_doors(settings, release.door, release.rpc)


def _end_a_supervisor_of_another_release(settings: Settings) -> None:
    running = asyncio.run(with_fleet(settings, lambda fleet: fleet.processes()))
    former = latest(running).get(supervisor.NAME)
    if former is not None and former.info.release != settings.cluster.release:
        _stop_processes(settings, [supervisor.NAME])


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
    actors: list[Any] = []
    for name in names:
        with suppress(ValueError):  # it has gone since it was listed
            actors.append(ray.get_actor(name, settings.cluster.name))
    stopping: list[Any] = [actor.stop.remote() for actor in actors]
    if stopping:
        _, late = ray.wait(stopping, num_returns=len(stopping), timeout=STOP_TIMEOUT_S)
        if late:
            log.warning("%d processes did not stop in time", len(late))
    for actor in actors:
        ray.kill(actor)
