"""What a run counts while it runs. One process, one loop: plain numbers."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


class Call(Enum):
    """Kinds of calls, in the order of a client's life."""

    PURCHASE = "purchase event"
    ITEMS = "items page"
    START = "start"
    BEAT = "heartbeat"
    END = "end"
    OFFLINE = "offline sessions"
    LATE = "(lag of the client itself)"


def _per_call() -> dict[Call, "array[float]"]:
    return {call: array("f") for call in Call}


@dataclass(kw_only=True)
class Figures:
    """``latencies_s``: from the first attempt of a call to its answer, waits between attempts included, four bytes a
    call, which the plan bounds. ``retries`` by what the failed attempt met. ``failures``: clients that gave up or were
    refused, at most ``FAILURES_KEPT`` of them in words."""

    latencies_s: dict[Call, "array[float]"] = field(default_factory=_per_call)
    retries: Counter[str] = field(default_factory=Counter)
    sessions_live: int = 0
    sessions_started: int = 0
    sessions_resumed: int = 0
    sessions_ended: int = 0
    ended_by_service: int = 0
    beats: int = 0
    items_seen: int = 0
    users_done: int = 0
    plays_done: int = 0
    orders_sent: int = 0
    orders_repeated: int = 0
    requests: int = 0
    played_s: float = 0.0
    service_s: float = 0.0
    local_s: float = 0.0
    failed: int = 0
    failures: list[str] = field(default_factory=list)

    def fail(self, what: str) -> None:
        self.failed += 1
        if len(self.failures) < FAILURES_KEPT:
            self.failures.append(what)

    def note_clock(self, *, service_s: float, local_s: float) -> None:
        """A session's length by both clocks; short ones say more about latency than about the clock."""
        if local_s >= 1:
            self.service_s += service_s
            self.local_s += local_s

    @property
    def observed_rate(self) -> float | None:
        """How fast the service's clock ran against ours, by the acknowledged sessions."""
        return self.service_s / self.local_s if self.local_s else None


FAILURES_KEPT = 100


def percentiles_ms(latencies_s: Sequence[float], shares: Mapping[str, float]) -> dict[str, float]:
    """The nearest-rank percentile of each share, in milliseconds; nothing for nothing."""
    if not latencies_s:
        return {}
    ordered = sorted(latencies_s)
    last = len(ordered) - 1
    return {name: ordered[min(last, int(share * len(ordered)))] * 1000 for name, share in shares.items()}
