"""The results as a table, as JSON and as a picture, in one directory."""

import json
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks.figures import FASTAPI, GO, OURS, SATURATED, Results, Summary
from tests.benchmarks.ours import BEATS, COMMITS, FLUSHED_ROWS

NAMES = {OURS: "ours", FASTAPI: "FastAPI + asyncpg", GO: "Go Echo + pgx"}
COLOURS = {OURS: "#1b7837", FASTAPI: "#b2182b", GO: "#2166ac"}
PLOT_SIZE_INCHES = (7.5, 4.5)


def write_report(directory: Path, results: Results) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "bench.json").write_text(json.dumps(asdict(results), indent=2) + "\n")
    (directory / "bench.md").write_text(markdown(results))
    plot(directory / "bench.png", results)


def markdown(results: Results) -> str:
    keys = results.keys
    lines = [
        f"{results.users:,} live sessions, {results.doors} door(s), {results.hosts} host(s), {results.cores} cores.",
        "",
        "| call | connections | who | a second | P50 ms | P99 ms | CPU µs | of it | others | client |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_row(one) for one in results.summaries),
        "",
        "Others: share of the machine that neither the service nor the client had. Client: share of a core it used.",
        "",
        *_batches(results),
        "| ratio of CPU | median | lowest and highest round |",
        "|---|---|---|",
        *(f"| {key} | {keys[key]} | {low:.2f} to {high:.2f} |" for key, (low, high) in results.spreads.items()),
        "",
        f"A live session: {keys['session.bytes']:.0f} bytes of a host that recovered it, "
        f"{results.played_bytes:.0f} of one that saw its user buy and start.",
        f"All hosts killed: all {results.users:,} sessions served again after {keys['recovery.s']:.1f} s "
        f"(seeded users answered after {results.recovery.answered_s:.1f} s).",
        f"The run took {results.took_s:.0f} s.",
    ]
    return "\n".join(lines) + "\n"


def _batches(results: Results) -> list[str]:
    lines = ["| connections | heartbeats a commit | rows a flushed heartbeat |", "|---|---|---|"]
    for one in results.summaries:
        if (one.contender, one.kind) == (OURS, "heartbeat"):
            beats = one.counted[BEATS]
            lines.append(
                f"| {one.connections} | {beats / one.counted[COMMITS]:.1f} | {one.counted[FLUSHED_ROWS] / beats:.2f} |"
            )
    return [*lines, ""]


def _row(one: Summary) -> str:
    parts = sorted(one.cpu_us.items(), key=lambda part: -part[1])
    split = ", ".join(f"{label} {spent:.1f}" for label, spent in parts if spent >= 0.05)
    client = f"{one.client_share:.0%}" + (" (its limit)" if one.client_share >= SATURATED else "")
    return (
        f"| {one.kind} | {one.connections} | {NAMES[one.contender]} | {one.per_s:,.0f} | {one.p50_ms:.2f} "
        f"| {one.p99_ms:.2f} | {one.total_us:.1f} | {split} | {one.others_share:.0%} | {client} |"
    )


def plot(path: Path, results: Results) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=PLOT_SIZE_INCHES, layout="constrained")
    for contender, colour in COLOURS.items():
        beats = [one for one in results.summaries if (one.contender, one.kind) == (contender, "heartbeat")]
        if beats:
            axes.plot(
                [one.connections for one in beats],
                [one.total_us for one in beats],
                marker="o",
                color=colour,
                label=NAMES[contender],
            )
    ticks = sorted({one.connections for one in results.summaries})
    axes.set_xscale("log", base=4)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("connections")
    axes.set_ylabel("CPU of all server processes, µs a heartbeat")
    axes.set_title(f"A durable heartbeat, {results.users:,} live sessions, {results.cores} cores")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
