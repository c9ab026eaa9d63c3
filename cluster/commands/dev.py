"""`library dev`: the development stack by hand."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.table import Table

from cluster.dev.stack import DevStack, default_directory
from cluster.terminal.progress import StackProgress

console = Console()
Command = TypeVar("Command", bound=Callable[..., object])
STYLES = {"running": "green", "dead": "bold red", "stopped": "dim"}


def in_directory(function: Command) -> Command:
    return click.option(
        "--dir",
        "directory",
        type=click.Path(file_okay=False, path_type=Path),
        default=default_directory,
        show_default=".dev of the checkout",
        help="Where the stack keeps its data; each directory is a stack of its own.",
    )(function)


@click.group()
def dev() -> None:
    """Start, stop and look at the servers that the service needs.

    Real Postgres, Kafka, Valkey and Ray from Python packages, on free ports of 127.0.0.1. The first start downloads
    Kafka once; later ones work offline. Ports and data are kept from one start to the next.
    """


@dev.command()
@in_directory
def up(directory: Path) -> None:
    """Start all servers and leave them running; those that run already are kept."""
    with StackProgress(console) as progress:
        stack = DevStack(directory, progress)
        stack.up()
    show(stack)
    console.print('\nPoint a service here:  eval "$(library dev env)"    Stop:  library dev down', highlight=False)


@dev.command()
@in_directory
@click.option("--delete-data", is_flag=True, help="Also remove everything that the servers have stored.")
def down(directory: Path, delete_data: bool) -> None:
    """Stop all servers; nothing is left running."""
    if not directory.exists():
        console.print(f"Nothing to stop: there is no {directory}")
        return
    with StackProgress(console) as progress:
        stack = DevStack(directory, progress)
        if delete_data:
            stack.destroy()
        else:
            stack.down()


@dev.command()
@in_directory
def status(directory: Path) -> int:
    """Show what runs and where; exits with 1 unless everything runs."""
    if not directory.exists():
        console.print(f"Nothing runs: there is no {directory}")
        return 1
    stack = DevStack(directory)
    show(stack)
    return 0 if all(part.state == "running" for part in stack.status()) else 1


@dev.command()
@in_directory
def env(directory: Path) -> None:
    """Print shell lines that point a service to the running servers.

    The Postgres DSN has its password in it. Use as:  eval "$(library dev env)"
    """
    variables = DevStack(directory).environment() if directory.exists() else {}
    if not variables:
        raise click.ClickException("nothing runs; start it by `library dev up`")
    for name, value in {"LIBRARY_ENVIRONMENT": "development", **variables}.items():
        click.echo(f"export {name}={shlex.quote(value)}")


def show(stack: DevStack) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("part", "state", "pid", "address", "log"):
        table.add_column(heading, overflow="fold")
    for part in stack.status():
        state = f"[{STYLES[part.state]}]{part.state}"
        table.add_row(part.title, state, str(part.pid or ""), part.address or "", _short(part.log_file))
    console.print(table)


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
