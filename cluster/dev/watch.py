"""Notices a dead part, says so with the end of its log, and starts it again, a bounded number of times."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

from cluster.dev.errors import DevStackError
from cluster.dev.part import Part
from cluster.dev.stack import DevStack

MAX_RESTARTS = 5
WITHIN_S = 60.0
POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class PartDied:
    part: str
    log_tail: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PartRestarted:
    part: str
    pid: int | None
    took_s: float


def watch(stack: DevStack, stop: threading.Event, report: Callable[[PartDied | PartRestarted], None]) -> None:
    """Blocks until `stop` is set; run it in a thread of its own.

    A part that was stopped on purpose, by this or another command, is let alone. Raises DevStackError when a part
    cannot be started again, or dies more than MAX_RESTARTS times within WITHIN_S seconds.
    """
    restarts: dict[str, deque[float]] = defaultdict(deque)
    while not stop.wait(POLL_S):
        for part in stack.servers:
            if part.died:
                _restart(stack, part, restarts[part.name], report)


def _restart(
    stack: DevStack, part: Part, recent: deque[float], report: Callable[[PartDied | PartRestarted], None]
) -> None:
    tail = part.process.tail()
    report(PartDied(part=part.name, log_tail=tail))
    began = time.monotonic()
    while recent and recent[0] < began - WITHIN_S:
        recent.popleft()
    if len(recent) >= MAX_RESTARTS:
        raise DevStackError(part.name, f"died {len(recent) + 1} times within {WITHIN_S:.0f} s; given up", tail)
    recent.append(began)
    if stack.revive(part):
        report(PartRestarted(part=part.name, pid=part.pid, took_s=time.monotonic() - began))
