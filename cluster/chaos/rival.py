"""A second process for one host, outside of Ray: ``python -m cluster.chaos.rival HOST_ID``.

It takes the host over while its own process is frozen. When that one goes on there are two writers, and only one may
succeed: the frozen one finds itself deposed and leaves, Ray starts it again, it takes the host back, and this one
leaves.
"""

import asyncio
import os
import sys

import uvloop

from actors.domain.ids import HostId
from actors.release import release_formats
from cluster.settings import load_settings
from cluster.wiring.host import HostProcess


def main() -> None:
    settings = load_settings(dict(os.environ))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(HostProcess(settings, HostId(int(sys.argv[1])), release_formats()).run())


if __name__ == "__main__":
    main()
