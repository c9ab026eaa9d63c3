"""The load client: a compiled one (wrk), in a process of its own, whose CPU is never counted as ours.

Closed loop: each connection sends its next request when it has its answer.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.failure import BenchmarkFailed

SCRIPT = Path(__file__).parent / "client" / "requests.lua"
SPARE_S = 60
_RESULT = re.compile(r"RESULT (\d+) ([\d.]+) ([\d.]+) ([\d.]+) ([\d.]+) (\d+) (\d+) ([\d.]+)")


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the client saw. ``client_share``: of one core, by each of its threads; near 1, it was the limit."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    refused: int
    broken: int
    client_share: float

    @property
    def per_s(self) -> float:
        return self.requests / self.seconds


def find_client() -> str:
    """``BenchmarkFailed`` with what to do about it."""
    client = shutil.which("wrk")
    if client is None:
        raise BenchmarkFailed("the load client `wrk` is missing; install it (Debian, Ubuntu: apt install wrk)")
    return client


def apply_load(
    client: str,
    url: str,
    requests: Path,
    *,
    connections: int,
    seconds: int,
    first: int = 0,
    threads: int = 1,
) -> Load:
    """Sends the file's requests round and round, beginning with number ``first``, for so many seconds."""
    threads = min(threads, connections)
    command = [
        *(client, "--threads", str(threads), "--connections", str(connections), "--duration", f"{seconds}s"),
        *("--timeout", "10s", "--script", str(SCRIPT), url, "--"),
        *(str(requests), str(first), str(threads)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            output, _ = process.communicate(timeout=seconds + SPARE_S)
        except BaseException:
            process.kill()
            raise
    return read_result(output, threads)


def read_result(output: str, threads: int) -> Load:
    found = _RESULT.search(output)
    if found is None:
        raise BenchmarkFailed(f"the load client says no result:\n{output}")
    requests, seconds, p50, p99, longest, refused, broken, client_s = found.groups()
    return Load(
        requests=int(requests),
        seconds=float(seconds),
        p50_ms=float(p50) / 1000,
        p99_ms=float(p99) / 1000,
        max_ms=float(longest) / 1000,
        refused=int(refused),
        broken=int(broken),
        client_share=float(client_s) / float(seconds) / threads,
    )
