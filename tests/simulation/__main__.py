"""``make simulate SEEDS=a..b``: many more schedules than the tests run. Exit status 1 if one of them fails."""

import sys
import time

import click
from rich.progress import Progress

from tests.simulation.campaign import campaign, described, shortened


@click.command()
@click.argument("seeds", default="0..10000")
def main(seeds: str) -> None:
    """Run the seeds A..B (B not included) on all cores; print each failing one with its shortened trace."""
    first, _, end = seeds.partition("..")
    if not (first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise click.UsageError("SEEDS is A..B, for instance 0..10000")
    began, failed = time.monotonic(), 0
    with Progress() as progress:
        task = progress.add_task("schedules", total=int(end) - int(first))
        for verdict in campaign(range(int(first), int(end)), lambda done: progress.update(task, completed=done)):
            failed += 1
            progress.console.print(described(shortened(verdict.seed)), markup=False)
    count = int(end) - int(first)
    click.echo(f"{count} schedules, {failed} failed, {time.monotonic() - began:.0f} s")
    sys.exit(1 if failed else 0)


main(prog_name="python -m tests.simulation")
