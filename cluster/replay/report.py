"""What a run says when it is over: tables for people, JSON for programs."""

from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table

from cluster.replay.figures import percentiles_ms
from cluster.replay.plan import Plan
from cluster.replay.run import Outcome, Pace

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
SHOWN = 20
RATE_TOLERANCE = 0.2
"""Sessions end a little later than planned, the more so the faster the clock runs."""


def print_plan(console: Console, plan: Plan, pace: Pace, scale: float, cap_hours: float) -> None:
    console.print(
        f"{plan.rows:,} rows: {len(plan.users):,} users, {plan.items:,} items; "
        f"{plan.repeated_rows:,} rows repeat a user and game and are summed"
    )
    console.print(
        f"cut: {plan.cut_rows:,} rows above {cap_hours:g} hours, "
        f"by {plan.cut_hours:,.0f} of the file's {plan.file_hours:,.0f} hours"
    )
    console.print(
        f"scaled: an hour becomes {3600 / scale:g} s of play, {plan.seconds / 60:,.0f} minutes in all; "
        f"at a clock rate of {pace.rate:g} with {pace.workers} games at once (a user {pace.lanes}) "
        f"about {pace.shortest_s(plan) / 60:.1f} minutes"
    )


def print_outcome(console: Console, plan: Plan, pace: Pace, outcome: Outcome) -> None:
    if outcome.cut:
        console.print("[yellow]The run was cut: not everything was played.[/]")
    console.print(_counts(plan, outcome))
    console.print(_latencies(outcome))
    rate = outcome.figures.observed_rate
    if rate is not None and abs(rate / pace.rate - 1) > RATE_TOLERANCE:
        console.print(
            f"[yellow]The service's clock ran at about {rate:.3g}, the clients' at {pace.rate:g} (--rate).[/]"
        )
    for failure in outcome.figures.failures[:SHOWN]:
        console.print(f"[red]client failed:[/] {failure}", highlight=False)
    if outcome.figures.failed:
        console.print(f"[red]{outcome.figures.failed:,} clients' games failed[/]")
    exact = f"{len(outcome.bought):,} items, {len(outcome.told):,} sessions told of."
    print_violations(console, outcome, exact)


def as_json(plan: Plan, pace: Pace, outcome: Outcome) -> dict[str, Any]:
    figures = outcome.figures
    return {
        "exact": outcome.is_exact,
        "cut": outcome.cut,
        "problem": outcome.problem,
        "rows": plan.rows,
        "users": len(plan.users),
        "items": plan.items,
        "planned_play_seconds": plan.seconds,
        "rate": pace.rate,
        "workers": pace.workers,
        "lanes": pace.lanes,
        "seed": pace.seed,
        "played_in_seconds": round(outcome.played_in_s, 3),
        "client_cpu_seconds": round(outcome.client_cpu_s, 3),
        "observed_rate": figures.observed_rate,
        "counts": {name: value for name, value in vars(figures).items() if isinstance(value, int)},
        "retries": dict(figures.retries),
        "latency_ms": {
            call.value: {"count": len(times)} | percentiles_ms(times, SHARES)
            for call, times in figures.latencies_s.items()
        },
        "failures": figures.failures,
        "violation_count": None if outcome.violations is None else len(outcome.violations),
        "violations": [
            {"kind": v.kind, "user_id": v.user_id, "product_id": v.product_id, "detail": v.detail}
            for v in (outcome.violations or [])[:1000]
        ],
    }


def _counts(plan: Plan, outcome: Outcome) -> Table:
    figures = outcome.figures
    table = Table("", "", title="Replay", show_header=False)
    table.columns[1].justify = "right"
    acknowledged = figures.beats + figures.sessions_started + figures.sessions_resumed + figures.sessions_ended
    retried = ", ".join(f"{count:,} {what}" for what, count in figures.retries.most_common())
    rows = [
        ("users done", f"{figures.users_done:,} of {len(plan.users):,}"),
        ("items bought", f"{len(outcome.bought):,} of {plan.items:,}"),
        ("purchase events", f"{figures.orders_sent:,} + {figures.orders_repeated:,} repeated"),
        ("sessions started", f"{figures.sessions_started:,} + {figures.sessions_resumed:,} resumed"),
        ("sessions ended by their client", f"{figures.sessions_ended:,}"),
        ("sessions ended by the service", f"{figures.ended_by_service:,}"),
        ("heartbeats acknowledged", f"{figures.beats:,}"),
        ("play", f"{figures.played_s / 60:,.0f} of {plan.seconds / 60:,.0f} minutes"),
        ("retries", retried or "0"),
        ("time", f"{outcome.played_in_s:,.1f} s"),
        ("session calls", f"{acknowledged / max(outcome.played_in_s, 0.001):,.0f}/s"),
        ("CPU of this command", f"{outcome.client_cpu_s * 1e6 / max(figures.requests, 1):,.0f} µs a request"),
    ]
    for row in rows:
        table.add_row(*row)
    return table


def _latencies(outcome: Outcome) -> Table:
    table = Table("latency, ms", "calls", *SHARES, title="From the first attempt to the answer")
    for column in table.columns[1:]:
        column.justify = "right"
    for call, times in outcome.figures.latencies_s.items():
        values = percentiles_ms(times, SHARES)
        if values:
            table.add_row(call.value, f"{len(times):,}", *(f"{value:,.1f}" for value in values.values()))
    return table


def print_violations(console: Console, outcome: Outcome, exact: str) -> None:
    """``exact``: what to say of a ledger that is."""
    if outcome.problem is not None:
        console.print(f"[red]{outcome.problem}[/]")
    if outcome.violations is None:
        return
    if not outcome.violations:
        console.print(f"[green]The ledger is exact:[/] {exact}")
        return
    for violation in outcome.violations[:SHOWN]:
        console.print(
            f"[red]{violation.kind}[/]: user {violation.user_id}, product {violation.product_id}, {violation.detail}",
            highlight=False,
            soft_wrap=True,
        )
    kinds = Counter(violation.kind for violation in outcome.violations)
    summary = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    console.print(f"[red]{len(outcome.violations):,} violations[/]: {summary}")
