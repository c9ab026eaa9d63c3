"""Latencies apart by whose host was killed and when: while it was away, or at any other time of the same run."""

from collections.abc import Sequence
from dataclasses import dataclass

from actors.domain.ids import HostId
from tests.benchmarks.survival.outcomes import ACCEPTED, Record, summary

AFTER_S = 1.0
"""Still counts as being away: what waited is sent again, the new process compiles its last modules."""
BEFORE_S = 1.0
"""Requests that were meant to leave so long before a kill may still be unanswered: they are of no window's."""


@dataclass(kw_only=True)
class Kill:
    """``at_s`` and ``back_s`` are seconds after the load began; ``back_s``: when the first request of its users that
    was sent after the kill was answered."""

    host_id: HostId
    at_s: float
    back_s: float | None = None


def judge(
    record: Record, homes: Sequence[HostId], kills: Sequence[Kill], *, rate: float
) -> dict[str, dict[str, float]]:
    """Fills in when each host was back. Four groups of requests, and how long the hosts were away."""
    for kill in kills:
        kill.back_s = _back_s(record, homes, kill, rate)
    killed: list[int] = []
    others: list[int] = []
    quiet: list[int] = []
    for number in range(len(record)):
        at = number / rate
        window = next((kill for kill in kills if kill.at_s <= at < _end_s(kill)), None)
        if window is not None:
            (killed if homes[number % len(homes)] == window.host_id else others).append(number)
        elif not any(kill.at_s - BEFORE_S <= at < kill.at_s for kill in kills):
            quiet.append(number)
    away = [kill.back_s - kill.at_s for kill in kills if kill.back_s is not None]
    return {
        "others_while_away": summary(record, others),
        "killed_while_away": summary(record, killed),
        "nobody_away": summary(record, quiet),
        "away_s": {
            "shortest": round(min(away, default=0.0), 2),
            "longest": round(max(away, default=0.0), 2),
            "not_back": len(kills) - len(away),
        },
        "others_by_kill_p99_ms": {
            f"{kill.at_s:.0f}": summary(record, [n for n in others if kill.at_s <= n / rate < _end_s(kill)])["p99_ms"]
            for kill in kills
        },
    }


def _end_s(kill: Kill) -> float:
    return (kill.at_s if kill.back_s is None else kill.back_s) + AFTER_S


def _back_s(record: Record, homes: Sequence[HostId], kill: Kill, rate: float) -> float | None:
    first = int(kill.at_s * rate) + 1
    answered = [
        number / rate + record.took_us[number] / 1e6
        for number in range(first, min(len(record), first + int(30 * rate)))
        if homes[number % len(homes)] == kill.host_id and record.status[number] == ACCEPTED
    ]
    return min(answered, default=None)
