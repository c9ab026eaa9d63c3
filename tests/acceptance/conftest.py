"""One running service for the tests that do not break it, and one of its own for each that does."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.running_service import RunningService

KILL_CLOCK_RATE = "20"
"""As fast as the service's time may run while its processes are killed: a time-out lasts 15 real seconds."""


@pytest.fixture
def new_service() -> Iterator[Callable[..., RunningService]]:
    """Makes services in directories of their own; whatever is left of them is ended."""
    made: list[RunningService] = []

    def make(**environment: str) -> RunningService:
        directory = Path(tempfile.mkdtemp(prefix="library-acceptance-"))
        directory.chmod(0o755)
        service = RunningService(directory, **environment)
        made.append(service)
        return service

    yield make
    for service in made:
        service.destroy()
        shutil.rmtree(service.directory, ignore_errors=True)


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    """A running service, shared by the tests of a file."""
    directory = Path(tempfile.mkdtemp(prefix="library-acceptance-"))
    directory.chmod(0o755)
    service = RunningService(directory)
    try:
        service.start()
        yield service
    finally:
        service.destroy()
        shutil.rmtree(directory, ignore_errors=True)
