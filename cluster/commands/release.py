"""`library release`: which release runs where, and the end of an upgrade."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from rich.console import Console
from rich.table import Table

from cluster.commands.dev import in_directory

if TYPE_CHECKING:
    from actors.fleet.ports import FleetStore, RunningProcess

console = Console(highlight=False)
T = TypeVar("T")


@click.group()
def release() -> None:
    """Show which release runs, and end an upgrade.

    Works beside `library run`, or on the database at POSTGRES_DSN.
    """


@release.command()
@in_directory
def status(directory: Path) -> int:
    """Show every process with its release; exits with 1 while a rollout is under way."""
    from actors.release import release_formats

    async def read(fleet: FleetStore) -> tuple[int, Sequence[RunningProcess]]:
        return await fleet.version(), await fleet.processes()

    version, running = _with_fleet(directory, read)
    _show(running)
    newest, releases = release_formats().newest, {process.info.release for process in running}
    console.print(f"\nWritten by all: version {version}. Known to this release: version {newest}.")
    if len(releases) > 1:
        console.print("A rollout is under way.")
    elif version < newest:
        console.print("`library release finish` lets all write the new version; the former release cannot return then.")
    return 1 if len(releases) > 1 else 0


@release.command()
@in_directory
def finish(directory: Path) -> int:
    """Let all processes write this release's version. From then on the release before it cannot run any more.

    Refuses while a process runs that cannot read it.
    """
    from actors.release import release_formats

    newest = release_formats().newest
    old = _with_fleet(directory, lambda fleet: fleet.raise_version(newest))
    if old:
        console.print(f"Nothing was changed. These cannot read version {newest}, or were lost just now:\n")
        _show(old)
        return 1
    console.print(f"All processes write version {newest}.")
    return 0


def _show(running: Sequence[RunningProcess]) -> None:
    table = Table("process", "node", "release", "reads up to", "", "heard", box=None, pad_edge=False)
    for process in sorted(running, key=lambda process: process.info.name):
        info = process.info
        state = "serving" if process.serving else "starting"
        table.add_row(info.name, info.node, info.release, str(info.newest), state, f"{process.silent_s:.0f} s ago")
    console.print(table)


def _with_fleet(directory: Path, work: Callable[[FleetStore], Awaitable[T]]) -> T:
    from cluster.development import operator_settings
    from cluster.fleet import with_fleet

    return asyncio.run(with_fleet(operator_settings(os.environ, directory), work))
