"""A second process for one host, outside of Ray: ``python -m cluster.chaos.rival HOST_ID``.

It takes the host over while its own process is frozen. When that one goes on there are two writers, and only one may
succeed: the frozen one finds itself deposed and leaves, Ray starts it again, it takes the host back, and this one
leaves. It leaves at once when its input ends: with its owner, at the latest.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Thread

import uvloop

from actors.domain.ids import HostId
from actors.release import release_formats
from cluster.settings import load_settings
from cluster.wiring.host import HostProcess


@asynccontextmanager
async def rival_of(
    number: int, environment: Mapping[str, str], log_file: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The owner's side: it runs until it leaves, or until the end of the block."""
    with log_file.open("ab") as log:
        rival = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cluster.chaos.rival", str(number)),
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
    try:
        yield rival
    finally:
        if rival.returncode is None:
            rival.kill()
            await rival.wait()


def main() -> None:
    Thread(target=_leave_with_the_owner, daemon=True).start()
    settings = load_settings(dict(os.environ))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(HostProcess(settings, HostId(int(sys.argv[1])), release_formats()).run())


def _leave_with_the_owner() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing is ever written
    os._exit(0)


if __name__ == "__main__":
    main()
