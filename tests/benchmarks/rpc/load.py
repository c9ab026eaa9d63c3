"""The load client of gRPC calls (``tests/go/load``), and what one of its runs cost its server."""

import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from actors.domain.ids import format_id
from cluster.dev.certificates import DevelopmentCertificates
from tests.benchmarks import cpu
from tests.benchmarks.crowd import GAMES
from tests.benchmarks.failure import BenchmarkFailed

SPARE_S = 60
_RESULT = re.compile(r"RESULT (\d+) ([\d.]+) (\d+) (\d+) (\d+) (\d+) ([\d.]+)")


class RpcContender(Protocol):
    """A service under test. ``settle_s``: how long after the load its servers still work for it."""

    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def certificates(self) -> DevelopmentCertificates: ...
    @property
    def settle_s(self) -> float: ...

    def processes(self) -> Mapping[int, str]: ...


@dataclass(frozen=True, kw_only=True)
class Question:
    """``pairs``: in one batch, 0 for single calls."""

    callers: int
    pairs: int = 0
    packed: bool = False

    @property
    def name(self) -> str:
        kind = f"batch of {self.pairs:,}{', packed' * self.packed}" if self.pairs else "single call"
        return f"{kind}, {self.callers} callers"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """CPU in microseconds a call by label; ``others_share``: of the machine, what neither server nor client had."""

    contender: str
    question: Question
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: Mapping[str, float]
    others_share: float

    @property
    def total_us(self) -> float:
        return sum(self.cpu_us.values())

    @property
    def pair_us(self) -> float:
        return self.total_us / max(1, self.question.pairs)


@dataclass(kw_only=True)
class LoadClient:
    """Goes through the users round and round, so that all of them are asked about."""

    program: Path
    users: Path
    _next: int = 0

    def measure(self, contender: RpcContender, question: Question, seconds: float) -> Answered:
        labels = contender.processes()
        began, (busy_before, _) = time.monotonic(), cpu.machine_s()
        before = cpu.read(labels)
        calls, took_s, p50, p99, client_s = self._load(contender, question, seconds)
        time.sleep(contender.settle_s)
        spent = cpu.spent_s(before, cpu.read(labels), labels)
        cores_s = (time.monotonic() - began) * (os.cpu_count() or 1)
        busy = cpu.machine_s()[0] - busy_before
        return Answered(
            contender=contender.name,
            question=question,
            per_s=calls / took_s,
            p50_ms=p50 / 1000,
            p99_ms=p99 / 1000,
            cpu_us={label: one / calls * 1e6 for label, one in sorted(spent.items())},
            others_share=max(0.0, busy - sum(spent.values()) - client_s) / cores_s,
        )

    def _load(
        self, contender: RpcContender, question: Question, seconds: float
    ) -> tuple[int, float, float, float, float]:
        files = contender.certificates
        command = [
            *(str(self.program), f"-address={contender.address}", f"-authority={files.authority}"),
            *(f"-certificate={files.client_certificate}", f"-key={files.client_key}", f"-users={self.users}"),
            *(f"-game={format_id(GAMES[0])}", f"-callers={question.callers}", f"-seconds={seconds}"),
            *(f"-first={self._next}", f"-pairs={question.pairs}", f"-packed={str(question.packed).lower()}"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + SPARE_S, check=False)
        found = _RESULT.search(done.stdout)
        if found is None:
            raise BenchmarkFailed(f"the load client says no result:\n{done.stdout}{done.stderr}")
        calls, took_s, p50, p99, _, failed, client_s = found.groups()
        if int(failed):
            raise BenchmarkFailed(f"{contender.name}: {failed} of {calls} calls failed: {done.stderr}")
        self._next += int(calls) * max(1, question.pairs)
        return int(calls), float(took_s), float(p50), float(p99), float(client_s)
