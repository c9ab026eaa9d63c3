"""A service whose end, unless it was asked for, is its process' end (ENGINE.md, "Ray")."""

import asyncio
from typing import Any, NoReturn

import pytest

from actors.service_process import ServiceProcess


class Left(BaseException):
    """Stands for ``os._exit``, which does not return either."""


class Sitting:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.stopping = asyncio.Event()
        made.append(self)

    async def run(self) -> None:
        if self.settings.get("fails"):
            raise RuntimeError
        if not self.settings.get("ends"):
            await self.stopping.wait()

    def stop(self) -> None:
        self.stopping.set()


made: list[Sitting] = []


def process(factory: str = f"{__name__}:Sitting", **settings: Any) -> tuple[ServiceProcess, list[int]]:
    exits: list[int] = []

    def leave(status: int) -> NoReturn:
        exits.append(status)
        raise Left

    return ServiceProcess(factory, settings, leave=leave), exits


@pytest.mark.parametrize(
    ("factory", "settings"),
    [(f"{__name__}:Sitting", {"fails": True}), (f"{__name__}:Sitting", {"ends": True}), ("no.such.module:x", {})],
)
async def test_a_service_that_fails_or_ends_unasked_takes_its_process_along(
    factory: str, settings: dict[str, Any]
) -> None:
    """Leaving by ``os._exit`` is what makes Ray start the actor again."""
    subject, exits = process(factory, **settings)
    (outcome,) = await asyncio.gather(subject.life, return_exceptions=True)
    assert isinstance(outcome, Left)
    assert exits == [1]


async def test_a_service_that_is_asked_to_stop_leaves_its_process_alone() -> None:
    """It is killed by whoever asked, or it would be started again."""
    subject, exits = process()
    await asyncio.sleep(0)
    await asyncio.wait_for(subject.stop(), 5)
    assert made[-1].stopping.is_set()
    assert exits == []


async def test_nothing_is_made_before_the_loop_runs_the_service() -> None:
    """An exception in ``__init__`` would leave a Ray actor dead for good."""
    made.clear()
    subject, _ = process()
    assert made == []
    await asyncio.sleep(0)
    assert len(made) == 1
    await subject.stop()
