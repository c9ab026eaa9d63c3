from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import uvloop

from tests.support.door import OpenDoor, open_door


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, object]:
    """The loop that doors run on: closing and half-closing differ from asyncio's own."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """Short, because a unix socket's path is."""
    with TemporaryDirectory(prefix="lib-") as path:
        yield Path(path)


@pytest.fixture
async def door(run_dir: Path) -> AsyncIterator[OpenDoor]:
    async with open_door(run_dir) as opened:
        yield opened
