"""Who is asked: our running service, its door with nothing behind it on either server, and the peer in Go."""

import os
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from cluster.dev.certificates import CALLER, DevelopmentCertificates
from cluster.dev.stack import DevStack
from tests.benchmarks.failure import BenchmarkFailed
from tests.benchmarks.options import ROOT
from tests.benchmarks.ours import OurService

GO_MODULE = ROOT / "tests" / "go"
GO_CONNECTIONS_A_CORE = 8
BUILD_TIMEOUT_S = 300
READY_TIMEOUT_S = 60
STOP_TIMEOUT_S = 15


def build(program: str, directory: Path) -> Path:
    """A program of ``tests/go``; ``BenchmarkFailed`` where there is no Go."""
    compiler = shutil.which("go")
    if compiler is None:
        raise BenchmarkFailed("Go is missing: the load client and the peer are written in it")
    built = directory / program
    command = [compiler, "build", "-o", str(built), f"./{program}"]
    done = subprocess.run(command, cwd=GO_MODULE, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise BenchmarkFailed(f"{program} does not compile:\n{done.stderr}")
    return built


@dataclass(frozen=True, kw_only=True)
class Ours:
    """The whole service, as ``library run`` starts it."""

    service: OurService
    name: str = "library"
    settle_s: float = 1.2

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.service.running.grpc_port}"

    @property
    def certificates(self) -> DevelopmentCertificates:
        return self.service.stack.certificates

    def processes(self) -> Mapping[int, str]:
        return self.service.processes()


@dataclass(frozen=True, kw_only=True)
class Process:
    """A contender of one process, and perhaps a Postgres of its own."""

    name: str
    address: str
    certificates: DevelopmentCertificates
    pid: int
    stack: DevStack | None = None
    settle_s: float = 0.2

    def processes(self) -> Mapping[int, str]:
        labels = {self.pid: "server"}
        postgres = None if self.stack is None else self.stack.postgres.pid
        if postgres is not None:
            labels[postgres] = "postgres"
            labels |= {child.pid: "postgres" for child in psutil.Process(postgres).children(recursive=True)}
        return labels


@contextmanager
def door_alone(server: str, folder: Path) -> Iterator[Process]:
    command = [sys.executable, "-m", "tests.benchmarks.rpc.door_alone", server, str(folder)]
    with _running(command, {}) as process:
        port = _port(process)
        certificates = DevelopmentCertificates.of(folder)
        yield Process(
            name=f"door alone, {server}", address=f"127.0.0.1:{port}", certificates=certificates, pid=process.pid
        )


@contextmanager
def go_peer(program: Path, stack: DevStack) -> Iterator[Process]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    files = stack.certificates
    files.ensure()
    environment = {
        "PEER_DSN": stack.postgres.dsn(),
        "PEER_CONNECTIONS": str(GO_CONNECTIONS_A_CORE * (os.cpu_count() or 1)),
        "PEER_ADDRESS": f"127.0.0.1:{port}",
        "PEER_AUTHORITY": str(files.authority),
        "PEER_CERTIFICATE": str(files.certificate),
        "PEER_KEY": str(files.key),
        "PEER_READER": CALLER,
    }
    with _running([str(program)], environment) as process:
        _wait_for(port, process)
        yield Process(name="go", address=f"127.0.0.1:{port}", certificates=files, pid=process.pid, stack=stack)


@contextmanager
def _running(command: list[str], environment: Mapping[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(STOP_TIMEOUT_S)


def _port(process: "subprocess.Popen[bytes]") -> int:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(READY_TIMEOUT_S):
            raise BenchmarkFailed("a door does not start")
    return int(process.stdout.readline().split()[1])


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise BenchmarkFailed("the peer in Go does not start")
