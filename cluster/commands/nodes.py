"""`library nodes`: the machines of the cluster, what runs on each, and taking one out in an orderly way."""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from cluster.commands.dev import in_directory
from cluster.settings import Settings

console = Console(highlight=False)
LOOK_EVERY_S = 0.5
GRACE_S = 30.0
"""For what Serve ends only when the time is over."""


@click.group()
def nodes() -> None:
    """Show the nodes of the Ray cluster, and empty one before it is switched off.

    A node that joins gets its share of hosts and doors by itself. Works beside `library run`, or on the cluster at
    RAY_ADDRESS.
    """


@nodes.command("list")
@in_directory
def list_nodes(directory: Path) -> None:
    """Show every node and what runs there."""
    from cluster import nodes as machines

    settings = _connected(directory)
    table = Table("node", "", "processes", box=None, pad_edge=False)
    running = _processes_by_node(settings)
    for address, usable in sorted(machines.nodes().items()):
        table.add_row(address, "" if usable else "draining", ", ".join(sorted(running[address])))
    console.print(table)


@nodes.command()
@click.argument("address")
@in_directory
@click.option("--timeout", "timeout_s", type=click.IntRange(1, 3600), default=120, show_default=True, help="Seconds.")
def drain(address: str, directory: Path, timeout_s: int) -> None:
    """Move everything off the node at ADDRESS, and wait until nothing of the service runs there.

    Its hosts give their users away first, and its doors finish what they are doing. Switch the node off afterwards;
    there is no way back but to let it join anew.
    """
    from actors.ports import StoreUnavailable
    from cluster import nodes as machines

    settings = _connected(directory)
    machines.drain(address, timeout_s)
    deadline = time.monotonic() + timeout_s + GRACE_S
    left = ["what runs there could not be read"]
    while left:
        with suppress(StoreUnavailable):  # it is asked again, until the time is over
            left = _processes_by_node(settings)[address]
        if left and time.monotonic() > deadline:
            raise click.ClickException(f"after {timeout_s} s these still run on {address}: {', '.join(sorted(left))}")
        time.sleep(LOOK_EVERY_S)
    console.print(f"Nothing of the service runs on {address} any more.")


def _connected(directory: Path) -> Settings:
    from cluster import service
    from cluster.development import operator_settings

    settings = operator_settings(os.environ, directory)
    service.connect(settings)
    return settings


def _processes_by_node(settings: Settings) -> Mapping[str, list[str]]:
    from cluster.fleet import with_fleet

    found: dict[str, list[str]] = defaultdict(list)
    for process in asyncio.run(with_fleet(settings, lambda fleet: fleet.processes())):
        found[process.info.node].append(process.info.name)
    return found
