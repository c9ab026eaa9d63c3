"""A process of the service, other than a host, as a Ray actor: named, detached, restarted for ever."""

from typing import Any

import ray


@ray.remote
class RayService:
    """``factory`` is ``module:function``, see ``actors.service_process.Service``."""

    def __init__(self, factory: str, settings: dict[str, Any]) -> None:
        from actors.service_process import ServiceProcess

        self._process = ServiceProcess(factory, settings)

    async def ping(self) -> bool:
        """True, while the loop is alive."""
        return True

    async def stop(self) -> None:
        """Returns when the service has finished what was under way; kill the actor afterwards."""
        await self._process.stop()
