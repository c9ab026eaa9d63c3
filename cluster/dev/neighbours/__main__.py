"""`python -m cluster.dev.neighbours SERVICE PORT FILE` serves until SIGTERM."""

import asyncio
import signal
import sys
from pathlib import Path

from cluster.dev.neighbours.servers import open_server
from cluster.dev.neighbours.world import KnownFile


async def main(service: str, port: int, path: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    file = KnownFile(path)
    file.seed()
    server, bound = await open_server(service, file, port)
    sys.stdout.write(f"{service} serves on 127.0.0.1:{bound}\n")
    sys.stdout.flush()
    await stop.wait()
    await server.stop(0.5)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
