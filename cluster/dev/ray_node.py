"""A further node of the Ray cluster: a raylet of its own with its workers, on a loopback address of its own.

Linux takes the whole of 127.0.0.0/8 for itself, so that nodes 2, 3, ... can have 127.0.0.2, 127.0.0.3, ..., as machines
have addresses: doors listen on the same port of each, and links lead from one to the other.

Unlike the head, which is on 127.0.0.1 alone, such a raylet listens on all addresses: on a machine that others can
reach, start nodes only for as long as they are needed.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from itertools import chain
from pathlib import Path
from typing import ClassVar

from cluster.dev.errors import CancelledError, DevStackError
from cluster.dev.part import Part, Site
from cluster.dev.process import ProcessId, session_of
from cluster.dev.ray_head import CPUS_AT_LEAST, ENVIRONMENT, OBJECT_STORE_BYTES, inherited_environment

SECTION = "ray.nodes"
FIRST, LAST = 2, 250
PORT_OPTIONS = {
    "node-manager": "--node-manager-port",
    "object-manager": "--object-manager-port",
    "agent": "--dashboard-agent-listen-port",
    "agent-grpc": "--dashboard-agent-grpc-port",
    "runtime-env": "--runtime-env-agent-port",
    "metrics": "--metrics-export-port",
}
ONLY_FOR_HEADS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
START_ATTEMPTS = 3
"""A node that is not registered after 30 s gives up, which is fixed in Ray; a busy machine may need longer."""


class RayNode(Part):
    """Number ``n`` is at 127.0.0.``n``. It joins the head that the state names, so that runs first."""

    name: ClassVar[str] = "ray-node"
    title: ClassVar[str] = "Ray node"
    stop_grace_s: ClassVar[float] = 8.0
    stray_grace_s: ClassVar[float] = 1.0
    start_timeout_s: ClassVar[float] = 120.0

    def __init__(self, site: Site, number: int) -> None:
        self.number = number
        self.host = f"127.0.0.{number}"
        self.name = f"ray-node-{number}"  # type: ignore[misc]  # of this one of many
        super().__init__(site)

    def environment(self) -> dict[str, str]:
        return {"LIBRARY_SERVICE_HTTP_HOST": "node", "LIBRARY_NODE_ADDRESS": "node"}

    def address(self) -> str:
        return self.host

    def start(self) -> None:
        for _ in range(START_ATTEMPTS - 1):
            try:
                return super().start()
            except CancelledError:
                raise
            except DevStackError as failed:
                self.site.progress(self.name, f"starting again: {failed}")
        return super().start()

    def launch(self) -> None:
        self.clean_up()
        temporary = Path(tempfile.mkdtemp(prefix="library-ray-", dir="/tmp"))
        self.site.state.update(self.name, temporary=str(temporary))
        ports = self.site.ports.take(*(f"{self.name}-{port}" for port in PORT_OPTIONS))
        options = zip(PORT_OPTIONS.values(), map(str, ports), strict=True)
        self.site.progress(self.name, "starting")
        environment = {name: value for name, value in ENVIRONMENT.items() if name != ONLY_FOR_HEADS}
        self.process.spawn(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
                *("--address", f"[::ffff:127.0.0.1]:{self.site.ports.remembered('ray')}"),
                *("--temp-dir", str(temporary), "--node-ip-address", self.host),
                *("--min-worker-port", "0", "--max-worker-port", "0"),
                *("--num-cpus", str(CPUS_AT_LEAST), "--num-gpus", "0"),
                *("--object-store-memory", str(OBJECT_STORE_BYTES), "--disable-usage-stats"),
                *chain.from_iterable(options),
            ],
            env={**inherited_environment(), **environment},
            cwd=temporary,
        )

    def ready(self) -> bool:
        return "Ray runtime started." in self.process.output()

    def strays(self) -> list[ProcessId]:
        leader = self.process.identity
        return session_of(leader) if leader is not None and not leader.alive() else []

    def clean_up(self) -> None:
        temporary = self.site.state.get(self.name).get("temporary")
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
            self.site.state.remove(self.name)

    def lose(self) -> None:
        """As a machine that loses its power: every process at once. The state still names it."""
        self._signal(self._everything(), signal.SIGKILL)

    def freeze(self, *, raylet_alone: bool = False) -> None:
        """As a machine that stands still, or one whose raylet does while its workers go on: two writers."""
        self._signal(self._raylet() if raylet_alone else self._everything(), signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(self._everything(), signal.SIGCONT)

    def _everything(self) -> list[ProcessId]:
        leader = self.process.identity
        return [] if leader is None else [leader, *session_of(leader)]

    def _raylet(self) -> list[ProcessId]:
        return [one for one in self._everything() if Path(f"/proc/{one.pid}/comm").read_text().strip() == "raylet"]

    @staticmethod
    def _signal(processes: list[ProcessId], sig: signal.Signals) -> None:
        for process in processes:
            process.send(sig)
