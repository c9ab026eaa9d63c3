"""Starts the open-loop client as a process of its own, and waits for it."""

import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.benchmarks.failure import BenchmarkFailed

LEAD_S = 3.0
"""From its start to the first request: the client reads its requests and opens its connections."""
SPARE_S = 60.0


class OpenLoop:
    """``rate`` requests a second at fixed instants, the file's round and round, for so many seconds."""

    def __init__(
        self, requests: Path, port: int, record: Path, *, rate: int, seconds: float, connections: int = 1_000
    ) -> None:
        self.seconds = seconds
        self.starts_at = time.monotonic() + LEAD_S
        self._command = [
            *(sys.executable, "-m", "tests.benchmarks.survival.open_loop"),
            *("--requests", str(requests), "--port", str(port), "--record", str(record)),
            *("--rate", str(rate), "--count", str(int(rate * seconds)), "--connections", str(connections)),
            *("--starts-at", repr(self.starts_at)),
        ]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait(self) -> None:
        """Until everything is answered or given up; ``BenchmarkFailed`` with what the client said."""
        assert self._process is not None
        left = self.starts_at + self.seconds + SPARE_S - time.monotonic()
        try:
            output, _ = self._process.communicate(timeout=max(1.0, left))
        except subprocess.TimeoutExpired:
            raise BenchmarkFailed("the load client does not come to an end: the machine does not bear it") from None
        if self._process.returncode:
            raise BenchmarkFailed(f"the load client failed:\n{output}")
