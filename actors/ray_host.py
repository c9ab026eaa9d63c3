"""A host as a Ray actor: named ``host-<n>``, detached, restarted for ever."""

from typing import Any

import ray


@ray.remote
class RayHost:
    """``factory(settings, host_id)`` makes the host in this process."""

    def __init__(self, factory: str, settings: dict[str, Any], host_id: int) -> None:
        from actors.process import live, resolve

        self._host = resolve(factory)(settings, host_id)
        self._task = live(self._host.run())

    async def state(self) -> str:
        return str(self._host.state.value)

    async def give(self, shard_ids: list[int], to_host: int) -> int:
        return int(self._host.give(shard_ids, to_host))

    async def stop(self) -> None:
        await self._host.stop()
