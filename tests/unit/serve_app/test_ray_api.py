"""The Serve deployment, without Ray: it finds its factory by name and passes on what Serve asks."""

import inspect
from typing import Any

import pytest
from ray import cloudpickle

from serve_app.ray_api import LibraryApi

pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")

made: list["FakeDoor"] = []


class FakeDoor:
    """Records what is asked of it; not a mock of ours, the other side of a four-method contract."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.heard: list[str] = []
        made.append(self)

    async def start(self) -> None:
        self.heard.append("start")

    async def drain(self) -> None:
        self.heard.append("drain")

    def check_health(self) -> None:
        self.heard.append("check_health")

    def load(self) -> dict[str, float]:
        return {"in_flight": 1.0}


async def fake_door(settings: dict[str, Any]) -> FakeDoor:
    return FakeDoor(settings)


def _deployed() -> Any:
    return LibraryApi.func_or_class  # type: ignore[attr-defined]


def _replica() -> Any:
    """Ends without a word: only Serve awaits a ``__del__``."""
    quiet = type("Quiet", (_deployed(),), {"__del__": lambda self: None})
    return object.__new__(quiet)


async def test_a_replica_starts_answers_and_drains_its_door() -> None:
    replica = _replica()
    await replica.__init__(f"{__name__}:fake_door", {"port": 1})
    door = made.pop()
    assert door.settings == {"port": 1}
    await replica.check_health()
    assert await replica.record_autoscaling_stats() == {"in_flight": 1.0}
    await _deployed().__del__(replica)
    assert door.heard == ["start", "check_health", "drain"]


async def test_a_replica_that_never_started_ends_quietly() -> None:
    await _deployed().__del__(_replica())


def test_the_deployment_is_a_few_lines_that_close_over_nothing() -> None:
    """ARCHITECTURE.md: Ray pickles it by value."""
    kind = _deployed()
    assert len(inspect.getsource(inspect.getmodule(kind)).splitlines()) < 50  # type: ignore[arg-type]
    for _, function in inspect.getmembers(kind, inspect.isfunction):
        assert function.__closure__ is None
    assert b"serve_app.door" not in cloudpickle.dumps(kind)


async def test_a_factory_that_is_not_there_is_said_so() -> None:
    replica = _replica()
    with pytest.raises(ModuleNotFoundError):
        await replica.__init__("no_such_module:factory", {})
