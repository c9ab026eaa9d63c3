"""The supervisor as a Ray actor: named ``supervisor``, detached; anybody may create it again."""

from typing import Any

import ray


@ray.remote
class RaySupervisor:
    """``factory(settings)`` makes the supervisor in this process."""

    def __init__(self, factory: str, settings: dict[str, Any]) -> None:
        from actors.process import live, resolve

        self._supervisor = resolve(factory)(settings)
        self._task = live(self._supervisor.run())

    async def ping(self) -> bool:
        return True
