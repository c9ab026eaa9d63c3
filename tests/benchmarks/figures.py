"""What the measurements say."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.recovery import Recovery
from tests.benchmarks.rounds import Measurement, Rounds

OURS, FASTAPI, GO = "library", "fastapi", "go"
SATURATED = 0.9


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Of all rounds of one kind: CPU by label in microseconds a request; the rest medians over the rounds."""

    contender: str
    kind: str
    connections: int
    cpu_us: Mapping[str, float]
    per_s: float
    p50_ms: float
    p99_ms: float
    client_share: float
    others_share: float
    counted: Mapping[str, float]

    @property
    def total_us(self) -> float:
        return sum(self.cpu_us.values())


@dataclass(frozen=True, kw_only=True)
class Results:
    """All that a run found. ``played_bytes``: growth of the hosts' RSS a session, when users bought and started."""

    summaries: Sequence[Summary]
    keys: Mapping[str, float | None]
    spreads: Mapping[str, tuple[float, float]]
    users: int
    hosts: int
    doors: int
    cores: int
    recovery: Recovery
    played_bytes: float
    took_s: float


def summarize(measurements: Sequence[Measurement]) -> Summary:
    cpu_s: dict[str, float] = defaultdict(float)
    for one in measurements:
        for label, spent in one.cpu_s.items():
            cpu_s[label] += spent
    requests = sum(one.load.requests for one in measurements)
    first = measurements[0]
    return Summary(
        contender=first.contender,
        kind=first.kind,
        connections=first.connections,
        cpu_us={label: spent / requests * 1e6 for label, spent in sorted(cpu_s.items())},
        per_s=median(one.load.per_s for one in measurements),
        p50_ms=median(one.load.p50_ms for one in measurements),
        p99_ms=median(one.load.p99_ms for one in measurements),
        client_share=median(one.load.client_share for one in measurements),
        others_share=median(one.others_share for one in measurements),
        counted={name: sum(one.counted[name] for one in measurements) for name in first.counted},
    )


def summaries(rounds: Rounds) -> list[Summary]:
    keys = dict.fromkeys((one.kind, one.connections, one.contender) for one in rounds.measurements)
    return [
        summarize(rounds.of(contender, kind, connections))
        for kind, connections, contender in sorted(keys, key=lambda key: (key[0] != "heartbeat", *key[1:]))
    ]


def ratios(rounds: Rounds, peer: str, kind: str, connections: int) -> list[float]:
    """How many times less CPU than the peer: each round's pair, which followed each other directly."""
    pairs = zip(rounds.of(OURS, kind, connections), rounds.of(peer, kind, connections), strict=False)
    return [theirs.total_us / ours.total_us for ours, theirs in pairs]


def judged(rounds: Rounds, start_connections: int) -> tuple[dict[str, float | None], dict[str, tuple[float, float]]]:
    """The issue's keys, and the lowest and highest of the rounds behind each ratio."""
    wanted = {
        f"heartbeat.c{connections}.vs_{peer}": (peer, "heartbeat", connections)
        for connections in (64, 256)
        for peer in (FASTAPI, GO)
    } | {"start.vs_fastapi": (FASTAPI, "start", start_connections)}
    keys: dict[str, float | None] = {}
    spreads = {}
    for key, asked in wanted.items():
        found = ratios(rounds, *asked)
        keys[key] = round(median(found), 2) if found else None
        if found:
            spreads[key] = (min(found), max(found))
    return keys, spreads
