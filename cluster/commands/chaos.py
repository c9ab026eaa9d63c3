"""`library chaos`: the service is broken in every way on this machine, and its promises are checked."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--seed", type=int, default=1, show_default=True, help="Decides the order of faults and whom they hit.")
@click.option("--faults", type=click.IntRange(min=1), help="End after so many faults.  [default: every kind once]")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="End after so many minutes.")
@click.option(
    "--sessions",
    type=click.IntRange(1, 20_000),
    default=1000,
    show_default=True,
    help="Live sessions of distinct users.",
)
@click.option(
    "--outage-s",
    type=click.FloatRange(1, 600),
    default=60.0,
    show_default=True,
    help="How long a server is away that is restarted.",
)
@click.option("--only", metavar="KIND", multiple=True, help="Faults of this kind alone; may be repeated. See --list.")
@click.option("--list", "show_list", is_flag=True, help="Show the kinds of faults and end.")
@click.option(
    "--rate",
    type=click.FloatRange(1, 60),
    default=5.0,
    show_default=True,
    help="How fast the service's clock runs: at 5 a session times out after a minute of silence.",
)
@click.option(
    "--beat-every-s",
    type=click.IntRange(1, 150),
    default=60,
    show_default=True,
    help="Service time between two heartbeats of a session.",
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    show_default="a temporary one",
    help="An empty directory for the servers' data; it is removed.",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/chaos"),
    show_default=True,
    help="Where the history of every answer and the logs go when a promise is broken.",
)
def chaos(show_list: bool, directory: Path | None, keep: Path, only: tuple[str, ...], **given: Any) -> int:
    """Break the service in every way there is, and check that it keeps its promises.

    Starts a service with servers of its own (a running one is not touched) behind proxies of its own, and clients that
    keep SESSIONS sessions alive over HTTP, alone or through game servers. Beside it they buy, keep their libraries in
    order and bring what they played offline; traders buy, are given and return games over Kafka, and the platform asks
    over gRPC whether they may play. Then it kills, freezes, cuts, slows, fills and restarts one part after another, and
    says how long callers had to wait. In the end every client leaves, everything comes to rest, and all that was ever
    answered is held against the tables and the topic: nothing acknowledged is lost, nothing is doubled, every total is
    exact, online and offline, no read was older than an acknowledged write, every event is out once and in order, and
    no session ended but by the rule.

    Needs about 3 GiB of memory and two cores. Ctrl-C ends the faults early; what happened is judged all the same. As
    root it also fills Postgres' disk, a small one that it mounts for itself.

    Exit status: 0 if every promise was kept, 1 if not (the findings and a history file say why), 130 if interrupted.
    """
    from rich.console import Console

    from cluster.chaos.faults import KINDS
    from cluster.chaos.main import Plan, run
    from cluster.chaos.report import print_kinds
    from cluster.chaos.set_up import Options

    console = Console()
    if show_list:
        print_kinds(console)
        return 0
    if unknown := set(only) - set(KINDS):
        raise click.UsageError(f"there is no kind {sorted(unknown)[0]!r}; see: library chaos --list")
    if directory is not None and directory.exists() and any(directory.iterdir()):
        raise click.UsageError(f"{directory} is not empty")
    place = directory or Path(tempfile.mkdtemp(prefix="library-chaos-"))
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o755)  # as root, Postgres runs as another user
    faults, minutes = given.pop("faults"), given.pop("minutes")
    count = len(only or KINDS) if faults is None and minutes is None else faults
    options = Options(directory=place.absolute(), **given)
    try:
        return run(Plan(options=options, faults=count, minutes=minutes, only=only, keep=keep.absolute()), console)
    finally:
        shutil.rmtree(place, ignore_errors=True)
