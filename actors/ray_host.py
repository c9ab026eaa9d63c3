"""A host as a Ray actor: named ``host-<n>``, detached, restarted for ever."""

from typing import Any

import ray


@ray.remote
class RayHost:
    """``factory(settings, host_id)`` makes the host in this process."""

    def __init__(self, factory: str, settings: dict[str, Any], host_id: int) -> None:
        from actors.service_process import ServiceProcess

        self._process = ServiceProcess(factory, settings, host_id)

    async def state(self) -> str:
        """The host's lifecycle state."""
        host = self._process.service
        return "starting" if host is None else str(host.state)

    async def give(self, shard_ids: list[int], to_host: int) -> int:
        """How many shards are on their way, see ``actors.host.Host.give``."""
        host = self._process.service
        return 0 if host is None else int(host.give(shard_ids, to_host))

    async def stop(self) -> None:
        """Returns when everything is flushed; kill the actor afterwards."""
        await self._process.stop()
