"""The Ray actor around the outbox relay. All that it runs is made by a factory, in its own process."""

from typing import Any

import ray

from actors.service_process import ServiceProcess


@ray.remote(num_cpus=0, max_restarts=-1)
class OutboxRelayProcess:
    """``factory`` is ``module:function``, see ``actors.service_process.Service``."""

    def __init__(self, factory: str, settings: dict[str, Any]) -> None:
        self._process = ServiceProcess(factory, settings)

    async def ping(self) -> bool:
        """True, while the loop is alive."""
        return True

    async def stop(self) -> None:
        """Returns when the service has finished what was under way; kill the actor afterwards."""
        await self._process.stop()
