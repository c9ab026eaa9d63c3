"""The whole service as a user runs it, in a directory and on a port of its own: ``library run`` as a subprocess.

Its processes are found by the sockets on which they show their metrics, and by Ray's Unix session; what is done to
them is done from outside, by pid.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import psutil

from actors.telemetry.exposition import sockets_in
from cluster.demo import make_token
from cluster.dev.guard import destroy_with_this_process
from cluster.dev.process import ProcessId, processes_where, start_token
from cluster.dev.stack import DevStack
from cluster.development import development_settings, run_dir
from cluster.settings import Settings

LIBRARY = [sys.executable, "-m", "cluster"]
READY_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 120.0
POLL_S = 0.05


class ServiceFailed(Exception):
    """The service did not do in time what it should; with the end of its log."""


class RunningLibrary:
    """Started by ``start``; everything it starts ends with ``destroy``, or with this process, even by SIGKILL."""

    def __init__(self, directory: Path, *, nodes: int = 1, **environment: str) -> None:
        self.directory = directory
        self.nodes = nodes
        self.stack = DevStack(directory)
        self.log_file = directory / "run.log"
        with socket.socket() as probe, socket.socket() as another:
            probe.bind(("127.0.0.1", 0))
            another.bind(("127.0.0.1", 0))
            self.port, self.grpc_port = int(probe.getsockname()[1]), int(another.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            "LIBRARY_SERVICE_HTTP_PORT": str(self.port),
            "LIBRARY_SERVICE_GRPC_PORT": str(self.grpc_port),
            "LIBRARY_HOSTS": "2",
            "LIBRARY_MAX_DOORS": "1",
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = destroy_with_this_process(directory)

    def environment(self) -> dict[str, str]:
        """For ``library`` commands that act on this service."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "LIBRARY_"))}
        settings = {"LIBRARY_ENVIRONMENT": "development", "LIBRARY_RUN_DIR": str(run_dir(self.directory))}
        return {**inherited, **settings, **self.stack.environment(), **self._environment}

    def settings(self) -> Settings:
        return development_settings(self._environment, self.stack)

    def token(self, user_id: UUID) -> str:
        return make_token(self.settings(), user_id)

    def start(self, **environment: str) -> None:
        """Returns when a door is ready; ``environment`` is added to what was given before. ``ServiceFailed``."""
        self._environment.update(environment)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [*LIBRARY, "run", "--no-demo", "--nodes", str(self.nodes), "--dir", str(self.directory)],
                env={**inherited, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.until(lambda: "is ready" in self.log_file.read_text(errors="replace"), READY_TIMEOUT_S)

    def stop(self) -> int:
        """Ctrl-C; the exit status."""
        process = self._process
        if process is None:
            return 0
        process.send_signal(signal.SIGINT)
        return process.wait(STOP_TIMEOUT_S)

    def destroy(self) -> None:
        """Ends whatever is left, and the data."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)
        self.stack.destroy()
        shutil.rmtree(run_dir(self.directory), ignore_errors=True)
        self._guard.communicate(timeout=STOP_TIMEOUT_S)

    @property
    def ended(self) -> bool:
        """``library run`` has given up."""
        return self._process is not None and self._process.poll() is not None

    def pids(self, name: str) -> list[int]:
        """The living processes whose name begins so (``host-0``, ``door``, ``outbox-relay``...)."""
        found = []
        for process, path in sockets_in(run_dir(self.directory)):
            pid = int(path.stem.rpartition("-")[2])
            if process.startswith(name) and start_token(pid) is not None:
                found.append(pid)
        return found

    def ray_pids(self, title: str) -> list[int]:
        """Ray's own living processes of this service, by a part of their command line (``gcs_server``)."""
        leader = self.stack.ray.pid
        found: list[ProcessId] = processes_where(
            lambda pid: os.getsid(pid) == leader and any(title in part for part in psutil.Process(pid).cmdline()[:1])
        )
        return [process.pid for process in found]

    def kill(self, name: str) -> int:
        """``kill -9`` of the one process of that name; its pid."""
        self.until(lambda: len(self.pids(name)) == 1, 30.0)
        (pid,) = self.pids(name)
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: start_token(pid) is None, 10.0)
        return pid

    def is_back(self, name: str, former: int) -> bool:
        return any(pid != former for pid in self.pids(name))

    def until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Until the condition holds; ``ServiceFailed`` with the end of the service's log otherwise."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if self.ended:
                raise ServiceFailed(f"`library run` has ended:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServiceFailed(f"a condition did not come true within {timeout_s:.0f} s:\n{self.log_tail()}")
            time.sleep(POLL_S)

    def log_tail(self) -> str:
        return self.log_file.read_text(errors="replace")[-3000:]
