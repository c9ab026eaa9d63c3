"""What a person sees of a trial: a line a fault, and the verdict."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cluster.chaos.faults import FAULTS
from cluster.chaos.trial import Injected, Verdict

SHOWN_VIOLATIONS = 20


def print_kinds(console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("kind")
    table.add_column("what happens")
    for fault in FAULTS:
        table.add_row(fault.kind, fault.what)
    console.print(table)


def line(done: Injected) -> str:
    """One fault: when it began, whom it hit, how long callers waited, what they met meanwhile."""
    at = timedelta(seconds=round(done.at_s))
    answered = f"answered again after {done.answered_s:.1f} s" if done.answered_s else "nobody waited"
    met = ", ".join(f"{count} × {what}" for what, count in sorted(done.met.counts.items())) or "no failed attempt"
    return (
        f"{at}  {done.kind:<16} {done.target}: {answered} (longest call {done.met.longest_s:.1f} s), "
        f"events move after {done.events_s:.0f} s; {met}; {done.live:,} live"
    )


def print_verdict(console: Console, verdict: Verdict, injected: Sequence[Injected], kept: Path | None) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("kind", "times", "answered again after, s", "longest call, s", "503", "broken or timed out"):
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    for kind in sorted({done.kind for done in injected}):
        of_kind = [done for done in injected if done.kind == kind]
        seconds = sorted(done.answered_s for done in of_kind)
        broken = sum(done.met.counts["connection"] + done.met.counts["time-out"] for done in of_kind)
        table.add_row(
            kind,
            str(len(of_kind)),
            f"{seconds[0]:.1f} - {seconds[-1]:.1f}" if len(seconds) > 1 else f"{seconds[0]:.1f}",
            f"{max(done.met.longest_s for done in of_kind):.1f}",
            str(sum(done.met.counts["503"] for done in of_kind)),
            str(broken),
        )
    console.print(table)
    console.print(
        f"{verdict.took_s / 60:.1f} minutes, {len(injected)} faults; {verdict.sessions:,} sessions, "
        f"{verdict.beats:,} heartbeats acknowledged, {verdict.events:,} events published; "
        f"{verdict.excused} sessions excused because their client was late"
    )
    answered = sorted(verdict.met.answered.items(), key=lambda one: -one[1])
    console.print(f"answered: {', '.join(f'{count:,} × {kind}' for kind, count in answered)}", highlight=False)
    if not verdict.violations:
        console.print("[bold green]Every promise was kept.[/]")
        return
    console.print(f"[bold red]{len(verdict.violations)} promises were broken:[/]")
    for violation in verdict.violations[:SHOWN_VIOLATIONS]:
        console.print(f"  {violation}", markup=False, soft_wrap=True)
    if len(verdict.violations) > SHOWN_VIOLATIONS:
        console.print(f"  and {len(verdict.violations) - SHOWN_VIOLATIONS} more")
    if kept is not None:
        console.print(f"All findings, the history of every answer and the logs: {kept}", soft_wrap=True)
