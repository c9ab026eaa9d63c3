"""The whole service as a user runs it: ``library run`` in a directory and on a port of its own."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from cluster.demo import make_token
from cluster.dev.guard import destroy_with_this_process
from cluster.dev.stack import DevStack
from cluster.development import development_settings, run_dir

LIBRARY = [sys.executable, "-m", "cluster"]
READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 90.0
_SOCKET = re.compile(r"metrics-(.+)-(\d+)\.sock")


@dataclass(frozen=True, kw_only=True)
class HttpAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class RunningService:
    """Started by ``start``; everything it starts ends with ``stop``, or with this process."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.directory = directory
        self.stack = DevStack(directory)
        self.log_file = directory / "run.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            "LIBRARY_SERVICE_HTTP_PORT": str(self.port),
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

    def start(self) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [*LIBRARY, "run", "--no-demo", "--dir", str(self.directory)],
                env={**inherited, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.until(lambda: self.get("/readyz").status == 200, READY_TIMEOUT_S)

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

    def pids(self, name: str) -> list[int]:
        """The living processes of that name (``host-0``, ``door``, ``outbox-relay``, ...), by their metric sockets."""
        found = []
        for path in run_dir(self.directory).glob("metrics-*.sock"):
            match = _SOCKET.fullmatch(path.name)
            if match is not None and match[1].startswith(name) and _alive(int(match[2])):
                found.append(int(match[2]))
        return found

    def kill(self, name: str) -> int:
        """``kill -9`` of the one process of that name; its pid."""
        self.until(lambda: len(self.pids(name)) == 1, 30.0)
        (pid,) = self.pids(name)
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: not _alive(pid), 10.0)
        return pid

    def is_back(self, name: str, former: int) -> bool:
        return any(pid != former for pid in self.pids(name))

    def token(self, user_id: UUID) -> str:
        return make_token(development_settings(self._environment, self.stack), user_id)

    def get(self, path: str, token: str | None = None) -> HttpAnswer:
        return self.request("GET", path, token)

    def request(self, method: str, path: str, token: str | None = None, body: Any = None) -> HttpAnswer:
        """Status 0 when nobody answers."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return HttpAnswer(status=answer.status, headers=dict(answer.headers), body=answer.read())
        except urllib.error.HTTPError as error:
            return HttpAnswer(status=error.code, headers=dict(error.headers), body=error.read())
        except OSError as error:
            return HttpAnswer(status=0, headers={}, body=str(error).encode())

    def until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Until the condition holds; an ``AssertionError`` with the end of the service's log otherwise."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if self._process is not None and self._process.poll() is not None:
                raise AssertionError(f"`library run` has ended:\n{self.log_tail()}")
            assert time.monotonic() < deadline, f"a condition did not come true in time:\n{self.log_tail()}"
            time.sleep(0.05)

    def log_tail(self) -> str:
        return self.log_file.read_text(errors="replace")[-3000:]

    def command(self, *arguments: str, timeout_s: float = 600) -> "subprocess.CompletedProcess[str]":
        """Runs a ``library`` command against this service."""
        return subprocess.run(
            [*LIBRARY, *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        """The same, in the background."""
        return subprocess.Popen(
            [*LIBRARY, *arguments],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")
