"""The doors as Ray Serve deployments: Ray places, starts, checks, scales and ends it; requests never pass Ray.

A few lines on purpose: Ray pickles this class by value, so it closes over nothing and finds its factory by name in the
process it runs in.
"""

from typing import Any

from ray import serve


@serve.deployment(name="LibraryApi")
class LibraryApi:
    """``factory`` is ``module:function``; ``await function(settings)`` gives what has ``start``, ``drain``,
    ``check_health`` and ``load``. ``graceful_shutdown_timeout_s`` must exceed the door's grace: Ray cuts ``__del__``
    there."""

    async def __init__(self, factory: str, settings: dict[str, Any]) -> None:  # type: ignore[misc]  # Serve awaits it
        from importlib import import_module

        module, _, function = factory.partition(":")
        self._door = await getattr(import_module(module), function)(settings)
        await self._door.start()

    async def check_health(self) -> None:
        self._door.check_health()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        return dict(self._door.load())

    async def __del__(self) -> None:
        door = getattr(self, "_door", None)
        if door is not None:
            await door.drain()


LibraryRpc = LibraryApi.options(name="LibraryRpc")  # type: ignore[attr-defined]  # what the decorator made of the class
"""The gRPC door, where it has processes of its own."""
