"""Percentiles by kind of request, as a table and as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.shelves.visits import Kind, Visits
from tests.benchmarks.survival.outcomes import Record, percentile, summary

OK = 200
AIMS: Mapping[Kind, tuple[str, float]] = {
    "page, cold": ("p95_ms", 20.0),
    "page": ("p95_ms", 20.0),
    "search": ("p95_ms", 20.0),
    "access": ("p99_ms", 10.0),
}
"""R-NFR-1 and R-RPC-1: P95 of a page and of a search, P99 of CheckGameAccess, in milliseconds."""
LARGE = 1_000
SIZE_INCHES = (9, 5)
COLOURS = ("#b2182b", "#2166ac", "#762a83", "#e08214", "#1b7837")


def judge(record: Record, visits: Visits, sizes: Sequence[int]) -> dict[str, dict[str, float]]:
    """By kind; of pages and searches, those of large libraries once more."""
    found: dict[str, dict[str, float]] = {}
    for kind in dict.fromkeys(visits.kinds):
        numbers = visits.numbers(kind)
        found[kind] = summary(record, numbers, accepted=OK)
        if not kind.startswith("access"):
            large = [number for number in numbers if sizes[visits.users[number]] >= LARGE]
            found[f"{kind}, {LARGE:,} items and more"] = summary(record, large, accepted=OK)
    return dict(sorted(found.items()))


def markdown(found: Mapping[str, Mapping[str, float]]) -> str:
    lines = [
        "| asked | requests | not answered well | P50 ms | P95 | P99 | longest | client late, P99 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, one in found.items():
        figures = (f"{one[name]:,.2f}" for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms", "client_late_p99_ms"))
        lines.append(f"| {kind} | {one['requests']:,} | {one['not_accepted']} | {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"


def keys(found: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """What is aimed at."""
    return {f"{kind}.{name}": found[kind][name] for kind, (name, _) in AIMS.items() if kind in found}


def plot(path: Path, pairs: Sequence[tuple[Record, Visits]], about: str) -> None:
    """The share of requests that took longer, by kind: the tail is what people notice."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=SIZE_INCHES, layout="constrained")
    kinds: list[tuple[Any, Record, Visits]] = [
        (kind, record, visits) for record, visits in pairs for kind in dict.fromkeys(visits.kinds)
    ]
    shares = [1 - 10 ** (-step / 50) for step in range(151)]
    for (kind, record, visits), colour in zip(sorted(kinds, key=lambda one: str(one[0])), COLOURS, strict=False):
        took = sorted(record.took_us[number] for number in visits.numbers(kind))
        milliseconds = [percentile(took, share) / 1000 for share in shares]
        axes.plot(milliseconds, [1 - share for share in shares], color=colour, label=f"{kind} ({len(took):,})")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_yticks([1, 0.05, 0.01, 0.001], ["all", "5 %", "1 %", "0.1 %"])
    for milliseconds, share in ((20, 0.05), (10, 0.01)):
        axes.plot(milliseconds, share, marker="v", color="black", markersize=7)
    axes.set_xlabel("ms from the instant it was meant to leave; black: aims, 20 ms (P95 of pages), 10 (P99 of access)")
    axes.set_ylabel("share that took longer")
    axes.set_title(about)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
