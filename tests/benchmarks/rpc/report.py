"""What the answers say, as a table and as the keys that are aimed at."""

from collections.abc import Sequence
from statistics import median

from tests.benchmarks.rpc.load import Answered, Question

OURS, GO = "library", "go"
SINGLE = (Question(callers=64), Question(callers=256), Question(callers=1))
BATCHES = (Question(callers=2, pairs=1_000), Question(callers=2, pairs=1_000, packed=True))


def judged(found: Sequence[Answered]) -> dict[str, float]:
    """How many times less CPU ours takes, and what it takes."""
    keys: dict[str, float] = {}
    for question in (*SINGLE, *BATCHES):
        name = f"access.{'packed' if question.packed else 'batch'}" if question.pairs else f"access.c{question.callers}"
        ours, go = ([one for one in found if (one.contender, one.question) == (who, question)] for who in (OURS, GO))
        keys[f"{name}.us"] = round(median(one.pair_us for one in ours), 2)
        keys[f"{name}.vs_go"] = round(
            median(theirs.total_us / one.total_us for one, theirs in zip(ours, go, strict=True)), 2
        )
        keys[f"{name}.p99_ms"] = round(median(one.p99_ms for one in ours), 2)
    return keys


def markdown(found: Sequence[Answered]) -> str:
    lines = ["| call | who | a second | P50, P99 ms | CPU µs | of it | others |", "|---|---|---|---|---|---|---|"]
    for question, contender in dict.fromkeys((one.question, one.contender) for one in found):
        of = [one for one in found if (one.question, one.contender) == (question, contender)]
        split = {
            label: median(one.cpu_us[label] for one in of if label in one.cpu_us)
            for label in sorted({label for one in of for label in one.cpu_us})
        }
        parts = ", ".join(f"{label} {us:.1f}" for label, us in sorted(split.items(), key=lambda part: -part[1]) if us)
        lines.append(
            f"| {question.name} | {contender} | {median(one.per_s for one in of):,.0f} "
            f"| {median(one.p50_ms for one in of):.2f}, {median(one.p99_ms for one in of):.2f} "
            f"| {median(one.total_us for one in of):.1f} | {parts} | {median(one.others_share for one in of):.0%} |"
        )
    return "\n".join(lines)


def line(one: Answered) -> str:
    split = ", ".join(f"{label} {us:.1f}" for label, us in sorted(one.cpu_us.items(), key=lambda part: -part[1])[:5])
    return (
        f"{one.question.name:28} {one.contender:20} {one.per_s:8,.0f}/s {one.total_us:8.1f} µs ({split}) "
        f"P50 {one.p50_ms:.2f} P99 {one.p99_ms:.2f} ms  others {one.others_share:.0%}"
    )
