"""``ProcessControl`` over Ray: processes are named, detached actors of one namespace."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

import ray
from msgspec import Struct
from ray._raylet import GcsClient  # type: ignore[attr-defined]
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.domain.ids import HostId, ShardId
from actors.ray_host import RayHost
from actors.rollout import HOST_PREFIX
from actors.supervisor import ControlFailed

PROCESS_OPTIONS = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": 0, "max_concurrency": 100}
"""No process asks Ray for CPUs, so that a restart always finds room; none is retried by Ray, calls are idempotent."""
A_BYTE = 1
"""Of memory: Ray heeds a soft affinity to a node only for actors that ask for something."""

CALL_TIMEOUT_S = 5.0
STOP_TIMEOUT_S = 15.0

T = TypeVar("T")


class NamedProcess(Struct, frozen=True, kw_only=True):
    """A process of the service besides hosts: its name, its actor class, its constructor's arguments."""

    name: str
    actor_class: Any
    arguments: tuple[Any, ...]


class RayControl:
    """Creates with ``get_if_exists``, so that two supervisors in a race make one process."""

    def __init__(
        self, *, namespace: str, host_factory: str, settings: Mapping[str, Any], services: Iterable[NamedProcess]
    ) -> None:
        self._namespace = namespace
        self._host_factory = host_factory
        self._settings = dict(settings)
        self._services = list(services)
        self._node_ids: dict[str, str] = {}
        self._gcs: Any = None

    async def running_hosts(self) -> Collection[HostId]:
        named = await _bounded(asyncio.to_thread(ray.util.list_named_actors, True), CALL_TIMEOUT_S)
        return [
            HostId(int(actor["name"].removeprefix(HOST_PREFIX)))
            for actor in named
            if actor["namespace"] == self._namespace and actor["name"].startswith(HOST_PREFIX)
        ]

    async def nodes(self) -> Mapping[str, bool]:
        alive = [node for node in await _in_thread(ray.nodes) if node["Alive"]]
        draining = await _in_thread(self._draining)
        self._node_ids = {str(node["NodeManagerAddress"]): str(node["NodeID"]) for node in alive}
        return {address: node_id not in draining for address, node_id in self._node_ids.items()}

    async def ensure_host(self, host_id: HostId, node: str | None) -> None:
        await self._ensure(
            NamedProcess(
                name=f"{HOST_PREFIX}{host_id}",
                actor_class=RayHost,
                arguments=(self._host_factory, self._settings, host_id),
            ),
            self._node_ids.get(node or ""),
        )

    async def ensure_services(self) -> Collection[str]:
        for service in self._services:
            await self._ensure(service, None)
        return [service.name for service in self._services]

    async def give(self, host_id: HostId, shard_ids: Iterable[ShardId], to_host: HostId) -> None:
        host = await self._find(f"{HOST_PREFIX}{host_id}")
        await _bounded(host.give.remote(list(shard_ids), to_host), CALL_TIMEOUT_S)

    async def stop_host(self, host_id: HostId) -> None:
        await self.stop_service(f"{HOST_PREFIX}{host_id}")

    async def stop_service(self, name: str) -> None:
        process = await self._find(name)
        try:
            await _bounded(process.stop.remote(), STOP_TIMEOUT_S)
        finally:
            await _bounded(asyncio.to_thread(ray.kill, process), CALL_TIMEOUT_S)

    async def _ensure(self, service: NamedProcess, node_id: str | None) -> None:
        options = service.actor_class.options(
            name=service.name,
            namespace=self._namespace,
            lifetime="detached",
            get_if_exists=True,
            memory=A_BYTE,
            scheduling_strategy="DEFAULT" if node_id is None else NodeAffinitySchedulingStrategy(node_id, soft=True),
            **PROCESS_OPTIONS,
        )
        await _bounded(asyncio.to_thread(options.remote, *service.arguments), CALL_TIMEOUT_S)

    def _draining(self) -> Collection[str]:
        """Ids of the nodes that Ray was asked to empty."""
        if self._gcs is None:
            self._gcs = GcsClient(address=ray.get_runtime_context().gcs_address)
        return set(self._gcs.get_draining_nodes())

    async def _find(self, name: str) -> Any:
        return await _bounded(asyncio.to_thread(ray.get_actor, name, self._namespace), CALL_TIMEOUT_S)


async def _in_thread(call: Callable[[], T]) -> T:
    return await _bounded(asyncio.to_thread(call), CALL_TIMEOUT_S)


async def _bounded(call: Awaitable[T], timeout_s: float) -> T:
    """Ray's own errors and a time that is over are the same to the supervisor: not now."""
    try:
        async with asyncio.timeout(timeout_s):
            return await call
    except (ray.exceptions.RayError, ValueError, TimeoutError, RuntimeError) as failed:
        raise ControlFailed(f"{type(failed).__name__}: {failed}") from failed
