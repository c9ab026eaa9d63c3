from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.door import OpenDoor, open_door


@pytest.fixture
def run_dir() -> AsyncIterator[Path]:
    """Short, because a unix socket's path is."""
    with TemporaryDirectory(prefix="lib-") as path:
        yield Path(path)


@pytest.fixture
async def door(run_dir: Path) -> AsyncIterator[OpenDoor]:
    async with open_door(run_dir) as opened:
        yield opened
