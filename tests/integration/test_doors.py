"""Doors as Serve keeps them, on a real Ray cluster: they come, they cannot come, and those not wanted go."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import ray
from ray import serve

from cluster.doors import RPC_APPLICATION, open_doors
from cluster.errors import ServiceError
from cluster.settings import Settings, load_settings

pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecatedSince20", "ignore:The `metrics_interval_s` field"
)

ROOT = Path(__file__).parents[2]
HERE = __name__


class Door:
    """Nothing but alive."""

    async def start(self) -> None: ...

    async def drain(self) -> None: ...

    def check_health(self) -> None: ...

    def load(self) -> dict[str, float]:
        return {}


async def make(settings: dict[str, Any]) -> Door:
    return Door()


async def make_none(settings: dict[str, Any]) -> Door:
    raise RuntimeError("there is no key")


@pytest.fixture
def on_ray(ray_address: str) -> Iterator[None]:
    paths = f"{ROOT}:{ROOT / 'proto'}"
    ray.init(address=ray_address, namespace=uuid4().hex, runtime_env={"env_vars": {"PYTHONPATH": paths}})
    try:
        yield
    finally:
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()


def settings(rpc_doors: str) -> Settings:
    environment = {
        "LIBRARY_ENVIRONMENT": "development",
        "POSTGRES_DSN": "postgresql://nobody@127.0.0.1:1/nothing",
        "KAFKA_BROKERS": "127.0.0.1:1",
        "LIBRARY_GRPC_PLAINTEXT": "true",
        "LIBRARY_GRPC_DOORS": rpc_doors,
    }
    return load_settings(environment)


@pytest.mark.usefixtures("on_ray")
def test_doors_of_former_settings_go_and_doors_that_cannot_start_are_one_line() -> None:
    """What is started has an end, for better or worse, and nothing of what was before stays."""
    open_doors(settings("own"), f"{HERE}:make", f"{HERE}:make")
    assert RPC_APPLICATION in serve.status().applications
    open_doors(settings("shared"), f"{HERE}:make", f"{HERE}:make")
    assert RPC_APPLICATION not in serve.status().applications
    with pytest.raises(ServiceError) as failed:
        open_doors(settings("shared"), f"{HERE}:make_none", f"{HERE}:make", timeout_s=60)
    assert "\n" not in str(failed.value)
    assert "cannot start" in str(failed.value)
    with pytest.raises(ServiceError, match="do not run after 0 s"):
        open_doors(settings("own"), f"{HERE}:make", f"{HERE}:make", timeout_s=0)
