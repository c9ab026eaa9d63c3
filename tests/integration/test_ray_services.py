"""The Ray actor around a service: one that fails takes its process along, and Ray starts another."""

import asyncio
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray

from actors.ray_service import RayService


class Lives:
    """Writes its process' id into a directory; fails in its first life."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._directory = Path(settings["directory"])
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        (self._directory / str(os.getpid())).touch()
        if len(list(self._directory.iterdir())) == 1:
            raise RuntimeError("the first life ends here")
        await self._stopping.wait()
        (self._directory / "stopped").touch()

    def stop(self) -> None:
        self._stopping.set()


async def test_a_failed_service_lives_again_in_another_process_until_it_is_stopped(
    ray_address: str, tmp_path: Path
) -> None:
    """ARCHITECTURE.md: leave by ``os._exit``, restarted without end."""
    ray.init(
        address=ray_address,
        namespace=uuid4().hex,
        runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2])}},
    )
    try:
        handle = RayService.options(num_cpus=0, max_restarts=-1).remote(  # type: ignore[attr-defined]
            "tests.integration.test_ray_services:Lives", {"directory": str(tmp_path)}
        )
        async with asyncio.timeout(60):
            while len(os.listdir(tmp_path)) < 2:  # noqa: ASYNC110 another process' doing
                await asyncio.sleep(0.1)
            assert await handle.ping.remote()
            await handle.stop.remote()
        assert (tmp_path / "stopped").exists()
        ray.kill(handle)
    finally:
        ray.shutdown()
