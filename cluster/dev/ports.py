"""Ports of 127.0.0.1 that are free, and stay the same from one start to the next while they are.

They are taken below the range from which the kernel serves outgoing connections: a port from inside it can be
somebody's outgoing port while its server restarts, and a client that retries meanwhile can even connect to itself.
"""

from __future__ import annotations

import random
import socket
import time
from pathlib import Path

from cluster.dev.errors import DevStackError
from cluster.dev.state import State

LOWEST = 20_000
HIGHEST_WITHOUT_A_KNOWN_RANGE = 32_000
ATTEMPTS = 200
REMEMBERED_TIMEOUT_S = 3.0


def is_free(port: int) -> bool:
    """True if a server could listen there now, on 127.0.0.1 and beside nothing on all addresses."""
    for address in ("127.0.0.1", "0.0.0.0"):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


class Ports:
    """Named ports of one stack, kept in its state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def remembered(self, name: str) -> int | None:
        port = self._state.get("ports").get(name)
        return int(port) if port is not None else None

    def take(self, *names: str) -> tuple[int, ...]:
        """A free port for each name, the remembered one where possible; for parts about to start, not running ones."""
        return tuple(self._take_one(name) for name in names)

    def _take_one(self, name: str) -> int:
        port = self.remembered(name)
        if port is not None and self._becomes_free(port):
            return port
        taken = {int(value) for value in self._state.get("ports").values()}
        for _ in range(ATTEMPTS):
            port = random.randrange(LOWEST, _highest())
            if port not in taken and is_free(port):
                self._state.update("ports", **{name: port})
                return port
        raise DevStackError(name, f"no free port between {LOWEST} and {_highest()} on 127.0.0.1")

    @staticmethod
    def _becomes_free(port: int) -> bool:
        """Waits a moment for a server that has just ended: its clients know this port."""
        deadline = time.monotonic() + REMEMBERED_TIMEOUT_S
        while not is_free(port):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def _highest() -> int:
    try:
        first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return HIGHEST_WITHOUT_A_KNOWN_RANGE
    return first_outgoing if first_outgoing > LOWEST + 1_000 else HIGHEST_WITHOUT_A_KNOWN_RANGE
