"""What an offline run says, before and after; its JSON is the online replay's."""

from rich.console import Console
from rich.table import Table

from cluster.replay.figures import Call, percentiles_ms
from cluster.replay.offline_plan import session_count
from cluster.replay.plan import Plan
from cluster.replay.report import SHARES, SHOWN, print_violations
from cluster.replay.run import Outcome, Pace


def print_offline_plan(console: Console, plan: Plan, pace: Pace) -> None:
    console.print(
        f"{plan.rows:,} rows: {len(plan.users):,} users, {plan.items:,} items, {plan.seconds / 3600:,.1f} hours; "
        f"{session_count(plan):,} offline sessions of {pace.workers} users at once"
    )


def print_offline_outcome(console: Console, plan: Plan, outcome: Outcome) -> None:
    figures = outcome.figures
    if outcome.cut:
        console.print("[yellow]The run was cut: not everything was sent.[/]")
    retried = ", ".join(f"{count:,} {what}" for what, count in figures.retries.most_common())
    table = Table("", "", title="Offline replay", show_header=False)
    table.columns[1].justify = "right"
    calls = figures.latencies_s[Call.OFFLINE]
    rows = [
        ("users done", f"{figures.users_done:,} of {len(plan.users):,}"),
        ("items bought", f"{len(outcome.bought):,} of {plan.items:,}"),
        ("sessions credited", f"{figures.sessions_ended:,}"),
        ("hours credited", f"{figures.played_s / 3600:,.1f} of {plan.seconds / 3600:,.1f}"),
        ("calls", f"{len(calls):,}"),
        ("ms a call", ", ".join(f"{name} {ms:,.1f}" for name, ms in percentiles_ms(calls, SHARES).items())),
        ("retries", retried or "0"),
        ("time", f"{outcome.played_in_s:,.1f} s"),
        ("sessions a second", f"{figures.sessions_ended / max(outcome.played_in_s, 0.001):,.0f}"),
    ]
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for failure in figures.failures[:SHOWN]:
        console.print(f"[red]client failed:[/] {failure}", highlight=False)
    exact = f"{len(outcome.bought):,} totals are the file's to the second, of {figures.sessions_ended:,} sessions."
    print_violations(console, outcome, exact)
