"""Starts the peers: a Postgres of their own with the settings of ours, and one process (or a few) each."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from cluster.dev.stack import DevStack
from tests.benchmarks.failure import BenchmarkFailed
from tests.benchmarks.options import ROOT

GO_SOURCE = Path(__file__).parent / "go"
GO_BUILD_TIMEOUT_S = 240
READY_TIMEOUT_S = 30
STOP_TIMEOUT_S = 15
FASTAPI_CONNECTIONS_A_CORE = 8
GO_CONNECTIONS_A_CORE = 32
"""Pool sizes at which each peer costs least (tried on 2 cores: 8, 16, 32, 64 in all; one and two workers of FastAPI, of
which one costs less): Go profits from commits that wait for the disk together, asyncpg from fewer connections."""


class Peer:
    """A running peer."""

    settle_s = 0.2

    def __init__(self, name: str, url: str, process: "subprocess.Popen[bytes]", stack: DevStack) -> None:
        self.name = name
        self.url = url
        self._process = process
        self._stack = stack

    def processes(self) -> Mapping[int, str]:
        own = dict.fromkeys(_family(self._process.pid), self.name)
        postgres = self._stack.postgres.pid
        return own if postgres is None else own | dict.fromkeys(_family(postgres), "postgres")

    def counters(self) -> Mapping[str, float]:
        return {}


@contextmanager
def fastapi_peer(stack: DevStack, environment: Mapping[str, str], workers: int, log: Path) -> Iterator[Peer]:
    port = _free_port()
    command = [
        *(sys.executable, "-m", "uvicorn", "tests.benchmarks.peers.fastapi_app:app", "--host", "127.0.0.1"),
        *("--port", str(port), "--workers", str(workers), "--loop", "uvloop", "--http", "httptools"),
        *("--no-access-log", "--log-level", "warning"),
    ]
    pool = max(2, _connections(FASTAPI_CONNECTIONS_A_CORE) // workers)
    with _running(command, {**environment, "PEER_CONNECTIONS": str(pool)}, log) as process:
        yield _ready(Peer("fastapi", f"http://127.0.0.1:{port}", process, stack), process, "/openapi.json", log)


@contextmanager
def go_peer(stack: DevStack, environment: Mapping[str, str], program: Path, log: Path) -> Iterator[Peer]:
    address = f"127.0.0.1:{_free_port()}"
    settings = {**environment, "PEER_CONNECTIONS": str(_connections(GO_CONNECTIONS_A_CORE)), "PEER_ADDRESS": address}
    with _running([str(program)], settings, log) as process:
        yield _ready(Peer("go", f"http://{address}", process, stack), process, "/healthz", log)


def build_go(directory: Path) -> Path | None:
    """The peer's program, or None where there is no Go to compile it."""
    compiler = shutil.which("go")
    if compiler is None:
        return None
    program = directory / "go-peer"
    built = subprocess.run(
        [compiler, "build", "-o", str(program), "."],
        cwd=GO_SOURCE,
        capture_output=True,
        text=True,
        timeout=GO_BUILD_TIMEOUT_S,
        check=False,
    )
    if built.returncode != 0:
        raise BenchmarkFailed(f"the Go peer does not compile:\n{built.stderr}")
    return program


def _connections(a_core: int) -> int:
    return a_core * (os.cpu_count() or 1)


@contextmanager
def _running(command: list[str], environment: Mapping[str, str], log: Path) -> "Iterator[subprocess.Popen[bytes]]":
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        family = _family(process.pid)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
        for pid in family:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()
        process.wait(STOP_TIMEOUT_S)


def _ready(peer: Peer, process: "subprocess.Popen[bytes]", path: str, log: Path) -> Peer:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{peer.url}{path}", timeout=2):
                return peer
        except urllib.error.HTTPError as answered:
            raise BenchmarkFailed(f"the peer {peer.name} answers {answered.code}") from answered
        except OSError:
            time.sleep(0.05)
    raise BenchmarkFailed(f"the peer {peer.name} does not start:\n{log.read_text(errors='replace')[-2000:]}")


def _family(pid: int) -> list[int]:
    try:
        leader = psutil.Process(pid)
        return [pid, *(child.pid for child in leader.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
