"""Measurements in turns: ours, a peer, the other peer, ours again... so that what else the machine does meets all.

Each measurement begins where the last one of its kind ended in the list of users, so that all of them are in use.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks import cpu
from tests.benchmarks.contender import Contender
from tests.benchmarks.failure import BenchmarkFailed
from tests.benchmarks.load import Load, apply_load

WARM_UP_TIMEOUT_S = 240
WARM_UP_STEP_S = 4
WARM_UP_CONNECTIONS = 64
REFUSED_AT_MOST = 0.001


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """``cpu_s`` per label. ``others_share``: of the machine, by what is neither contender nor client; contenders
    that wait for their turn are in it. ``counted``: how far the contender's own counters went."""

    contender: str
    kind: str
    connections: int
    round: int
    load: Load
    cpu_s: dict[str, float]
    counted: dict[str, float]
    others_share: float
    stolen_share: float

    @property
    def total_us(self) -> float:
        """Microseconds of CPU a request, all server processes."""
        return sum(self.cpu_s.values()) / self.load.requests * 1e6


@dataclass(kw_only=True)
class Rounds:
    """``report`` is told every measurement when it is done."""

    client: str
    threads: int
    report: Callable[[Measurement], None]
    measurements: list[Measurement] = field(default_factory=list)
    _next: dict[tuple[str, Path], int] = field(default_factory=dict)

    def warm_up(self, contender: Contender, requests: Path, count: int) -> None:
        """Every request once: each token is verified, each session's row is in memory."""
        done, deadline = 0, time.monotonic() + WARM_UP_TIMEOUT_S
        while done < count:
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"{contender.name} answered only {done} of {count} requests to warm up")
            load = apply_load(
                self.client,
                contender.url,
                requests,
                connections=WARM_UP_CONNECTIONS,
                seconds=WARM_UP_STEP_S,
                first=done,
                threads=self.threads,
            )
            _check(contender, load)
            done += load.requests

    def compare(
        self, contenders: Sequence[Contender], requests: Path, *, kind: str, connections: int, seconds: int, rounds: int
    ) -> None:
        for number in range(rounds):
            for contender in contenders:
                measured = self._measure(contender, requests, kind, connections, seconds, number)
                self.measurements.append(measured)
                self.report(measured)

    def of(self, contender: str, kind: str, connections: int) -> list[Measurement]:
        return [
            one
            for one in self.measurements
            if (one.contender, one.kind, one.connections) == (contender, kind, connections)
        ]

    def _measure(
        self, contender: Contender, requests: Path, kind: str, connections: int, seconds: int, number: int
    ) -> Measurement:
        first = self._next.get((contender.name, requests), 0)
        counted_before = contender.counters()
        before_labels = contender.processes()
        began, (busy_before, stolen_before) = time.monotonic(), cpu.machine_s()
        before = cpu.read(before_labels)
        load = apply_load(
            self.client,
            contender.url,
            requests,
            connections=connections,
            seconds=seconds,
            first=first,
            threads=self.threads,
        )
        time.sleep(contender.settle_s)
        after = cpu.read(before_labels)
        seconds_of_cores = (time.monotonic() - began) * (os.cpu_count() or 1)
        busy, stolen = (now - then for now, then in zip(cpu.machine_s(), (busy_before, stolen_before), strict=True))
        labels = dict(before_labels)
        for pid, label in contender.processes().items():
            if pid not in labels:
                labels[pid] = label
        after = {**cpu.read(labels.keys() - before_labels.keys()), **after}
        _check(contender, load)
        self._next[contender.name, requests] = first + load.requests
        cpu_s = cpu.spent_s(before, after, labels)
        client_s = load.client_share * load.seconds * self.threads
        return Measurement(
            contender=contender.name,
            kind=kind,
            connections=connections,
            round=number,
            load=load,
            cpu_s=cpu_s,
            counted={name: value - counted_before[name] for name, value in contender.counters().items()},
            others_share=max(0.0, busy - sum(cpu_s.values()) - client_s) / seconds_of_cores,
            stolen_share=stolen / seconds_of_cores,
        )


def _check(contender: Contender, load: Load) -> None:
    wrong = load.refused + load.broken
    if wrong > REFUSED_AT_MOST * load.requests:
        raise BenchmarkFailed(f"{contender.name}: {wrong} of {load.requests} requests failed; no figure means anything")
