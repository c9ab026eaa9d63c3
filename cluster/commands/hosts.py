"""`library hosts`: how many engine hosts there are, and who owns what."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from cluster.commands.dev import in_directory

if TYPE_CHECKING:
    from persistence.postgres.supervisor_store import PostgresSupervisorStore

T = TypeVar("T")
LOOK_EVERY_S = 0.2

console = Console(highlight=False)


@click.group()
def hosts() -> None:
    """Show and change the engine hosts, the processes that own the users.

    Works beside `library run`, or on the database at POSTGRES_DSN.
    """


@hosts.command("list")
@in_directory
def list_hosts(directory: Path) -> None:
    """Show every host: its epoch, where it listens, how many shards it owns."""
    from actors.ports import ClusterMap

    async def read(store: PostgresSupervisorStore) -> tuple[int, ClusterMap]:
        return await store.wanted_hosts(), await store.read_map()

    wanted, cluster_map = asyncio.run(_with_store(directory, read))
    owned = Counter(owner.host_id for owner in cluster_map.shards.values())
    table = Table("host", "epoch", "address", "shards", "", box=None, pad_edge=False)
    for host in sorted(cluster_map.hosts.values(), key=lambda host: host.host_id):
        unwanted = "" if host.host_id < wanted else "not wanted"
        table.add_row(
            f"host-{host.host_id}", str(host.epoch), host.address or "nobody", str(owned[host.host_id]), unwanted
        )
    console.print(table)


@hosts.command()
@click.argument("count", type=click.IntRange(1, 256))
@in_directory
@click.option("--timeout", "timeout_s", type=click.IntRange(1, 3600), default=120, show_default=True, help="Seconds.")
@click.option("--dry-run", is_flag=True, help="Show which shards would move, and change nothing.")
def scale(count: int, directory: Path, timeout_s: int, dry_run: bool) -> None:
    """Run COUNT hosts, and wait until each owns its share of the shards.

    Hosts that are not wanted any more give their shards away first. Users notice nothing: what they ask for in between
    waits for a moment.
    """
    if dry_run:
        asyncio.run(_with_store(directory, lambda store: _show_plan(store, count)))
        return
    asyncio.run(_with_store(directory, lambda store: _scale(store, count, timeout_s)))
    console.print(f"{count} hosts own all shards.")


async def _show_plan(store: PostgresSupervisorStore, count: int) -> None:
    from actors.domain.ids import HostId
    from actors.placement import plan_moves

    owners = {shard: owner.host_id for shard, owner in (await store.read_map()).shards.items()}
    moves = Counter((move.from_host, move.to_host) for move in plan_moves(owners, [HostId(n) for n in range(count)]))
    table = Table("from", "to", "shards", box=None, pad_edge=False)
    for (from_host, to_host), shards in sorted(moves.items()):
        table.add_row(f"host-{from_host}", f"host-{to_host}", str(shards))
    console.print(table if moves else "No shard would move.")


async def _scale(store: PostgresSupervisorStore, count: int, timeout_s: int) -> None:
    from actors.domain.ids import HostId
    from actors.placement import plan_moves

    await store.set_wanted_hosts(count)
    wanted = [HostId(number) for number in range(count)]
    deadline = time.monotonic() + timeout_s
    columns = (TextColumn("shards moved"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("move", total=None)
        most = 0
        while True:
            owners = {shard: owner.host_id for shard, owner in (await store.read_map()).shards.items()}
            left = len(plan_moves(owners, wanted))
            most = max(most, left)
            progress.update(task, total=most, completed=most - left)
            if not left:
                return
            if time.monotonic() > deadline:
                raise click.ClickException(
                    f"{left} shards have not moved after {timeout_s} s; is the supervisor alive? "
                    "Moving goes on; `library hosts list` shows how far it is"
                )
            await asyncio.sleep(LOOK_EVERY_S)


async def _with_store(directory: Path, work: Callable[[PostgresSupervisorStore], Awaitable[T]]) -> T:
    from cluster.development import operator_settings
    from cluster.wiring.values import dsn, timeouts
    from persistence.postgres.pool import ConnectionPool
    from persistence.postgres.supervisor_store import PostgresSupervisorStore

    settings = operator_settings(os.environ, directory)
    pool = await ConnectionPool.open(
        dsn=dsn(settings), application_name="library-cli", timeouts=timeouts(settings), size=1
    )
    try:
        return await work(PostgresSupervisorStore(pool))
    finally:
        await pool.close()
