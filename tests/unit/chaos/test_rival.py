"""A rival host process ends with whoever started it: nothing is left behind that could take hosts over."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cluster.chaos.rival import rival_of
from cluster.development import NO_SERVERS

TIMEOUT_S = 60.0


@pytest.fixture
def mute_postgres() -> Iterator[socket.socket]:
    """Takes connections and says nothing, so that a rival stays with it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(TIMEOUT_S)
        yield listening


def environment(postgres: socket.socket) -> dict[str, str]:
    dsn = f"postgresql://nobody@127.0.0.1:{postgres.getsockname()[1]}/nothing"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIBRARY_")}
    return {**inherited, "LIBRARY_ENVIRONMENT": "development", **NO_SERVERS, "POSTGRES_DSN": dsn}


async def test_a_rival_leaves_when_its_input_ends(mute_postgres: socket.socket, tmp_path: Path) -> None:
    async with asyncio.timeout(TIMEOUT_S), rival_of(0, environment(mute_postgres), tmp_path / "log") as rival:
        connection, _ = await asyncio.to_thread(mute_postgres.accept)
        with connection:
            assert rival.stdin is not None
            rival.stdin.close()
            assert await rival.wait() == 0, (tmp_path / "log").read_text()


async def test_a_rival_is_ended_with_the_block_that_fails(mute_postgres: socket.socket, tmp_path: Path) -> None:
    with suppress(asyncio.CancelledError):
        async with asyncio.timeout(TIMEOUT_S), rival_of(0, environment(mute_postgres), tmp_path / "log") as rival:
            connection, _ = await asyncio.to_thread(mute_postgres.accept)
            with connection:
                raise asyncio.CancelledError
    assert rival.returncode == -signal.SIGKILL
