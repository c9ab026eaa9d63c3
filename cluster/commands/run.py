"""`library run`: the whole service with all its servers on this machine, for development."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from cluster.commands.dev import in_directory
from cluster.dev.stack import DevStack
from cluster.dev.watch import PartDied, PartRestarted, watch
from cluster.settings import Settings
from cluster.settings.model import LOOPBACK
from cluster.terminal.progress import StackProgress


@click.command()
@in_directory
@click.option("--nodes", type=click.IntRange(1, 9), default=1, show_default=True, help="Of the Ray cluster.")
@click.option("--no-demo", is_flag=True, help="Leave out the demo user and the examples.")
def run(directory: Path, nodes: int, no_demo: bool) -> None:
    """Start every server and the service, and stay until Ctrl-C.

    Starts Postgres, Kafka, Valkey and Ray (as `library dev up` does), applies the migrations, starts the service,
    gives a demo user some games, and prints where to look. Ctrl-C stops all of it; the data stay.

    Variables that are set win over what this command would choose, for instance LIBRARY_SERVICE_HTTP_PORT,
    LIBRARY_HOSTS or LIBRARY_CLOCK_RATE.

    With --nodes N the Ray cluster has N nodes, at 127.0.0.1 to 127.0.0.N, each with a host and a door (on Linux).
    """
    console = Console(highlight=False)
    stop = threading.Event()
    with _signals_set(stop):
        try:
            _run(console, directory, stop, nodes=nodes, demo=not no_demo)
        finally:
            with StackProgress(console) as progress:
                DevStack(directory, progress).down()
            console.print("Everything is stopped; the data stay.")


def _run(console: Console, directory: Path, stop: threading.Event, *, nodes: int, demo: bool) -> None:
    from cluster import service
    from cluster.development import development_settings
    from persistence.postgres.migrate import migrate

    began = time.monotonic()
    with StackProgress(console) as progress:
        stack = DevStack(directory, progress)
        stack.up()
        for _ in range(nodes - 1 - len(stack.nodes)):
            stack.add_node()
        settings = development_settings({**_for_nodes(nodes), **os.environ}, stack)
        _refuse_a_taken_port(settings)
        progress("schema", "migrating")
        asyncio.run(migrate(settings.database.postgres_dsn.get_secret_value()))
        progress("schema", "ready", 1.0)
        progress("service", "joining Ray")
        service.connect(settings)
        service.start(settings, lambda step: progress("service", f"starting {step}"))
        service.wait_until_ready(settings)
        progress("service", "ready", 1.0)
    try:
        _say_where_to_look(console, stack, settings, time.monotonic() - began, demo=demo)
        with suppress(KeyboardInterrupt):
            _stay(console, stack, stop)
        console.print("\nStopping: doors drain, hosts flush.")
    finally:
        service.stop(settings)
        shutil.rmtree(settings.cluster.run_dir, ignore_errors=True)


def _for_nodes(nodes: int) -> dict[str, str]:
    """A host and a door on each."""
    if nodes == 1:
        return {}
    each = ("LIBRARY_HOSTS", "LIBRARY_MIN_DOORS", "LIBRARY_MAX_DOORS")
    return {**dict.fromkeys(each, str(nodes)), "LIBRARY_MAX_DOORS_PER_NODE": "1"}


def _stay(console: Console, stack: DevStack, stop: threading.Event) -> None:
    """Until Ctrl-C, or until a server dies too often; one that dies is shown and started again."""

    def report(event: PartDied | PartRestarted) -> None:
        match event:
            case PartDied(part=part, log_tail=tail):
                console.print(f"[bold red]{part} died.[/] The end of its log:")
                for line in tail:
                    console.print(f"  {line}", markup=False)
            case PartRestarted(part=part, pid=pid, took_s=took_s):
                console.print(f"[green]{part} runs again[/] (pid {pid}, {took_s:.1f} s)")

    watch(stack, stop, report)


def _say_where_to_look(console: Console, stack: DevStack, settings: Settings, took_s: float, *, demo: bool) -> None:
    from cluster import service
    from cluster.demo import seed

    url = service.base_url(settings)
    console.print(f"\n[bold green]The Library Service is ready[/] ({took_s:.0f} s)\n")
    console.print(f"  REST       {url}/api/v1/library     documentation {url}/api/v1/library/docs")
    if settings.grpc.doors != "off":
        console.print(f"  gRPC       {settings.grpc.host}:{settings.server.grpc_port}     library call --help")
    console.print(f"  Metrics    {url}/metrics")
    console.print(f"  Dashboard  {stack.ray.dashboard_url()}")
    console.print(f"  Servers    library dev status          logs in {stack.directory}")
    if demo:
        example = seed(settings, url)
        console.print(f"\nA token of the demo user {example.user_id}:\n\n{example.token}\n", soft_wrap=True)
        console.print("Try it in another terminal:\n")
        auth = '-H "Authorization: Bearer $(.venv/bin/library token)"'
        start = f'{{"data":{{"type":"playtimeSessionStart","attributes":{{"product_id":"{example.product_id}"}}}}}}'
        for line in (
            f"curl -s {auth} {url}/api/v1/library/items",
            f"curl -s {auth} -H 'Content-Type: application/json' -d '{start}' "
            f"{url}/api/v1/library/playtime/sessions/start",
            f"curl -s {auth} {url}/api/v1/library/playtime/stats",
            f".venv/bin/library call CheckGameAccess "
            f'\'{{"user_id":"{example.user_id}","product_id":"{example.product_id}"}}\'',
        ):
            console.print(line, markup=False, soft_wrap=True)
    console.print("\nCtrl-C stops everything.")


def _refuse_a_taken_port(settings: Settings) -> None:
    """Doors share their port among each other, so a second service would silently take half of the connections."""
    doors = [(settings.server.http_host, settings.server.http_port, "LIBRARY_SERVICE_HTTP_PORT")]
    if settings.grpc.doors != "off":
        doors.append((settings.grpc.host, settings.server.grpc_port, "LIBRARY_SERVICE_GRPC_PORT"))
    for host, port, variable in doors:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK if host == "node" else host, port))
            except OSError as taken:
                raise click.ClickException(
                    f"port {port} is in use; stop what uses it, or choose another with {variable}"
                ) from taken


@contextmanager
def _signals_set(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM: the first one ends the waiting, or whatever is being started; stopping is not interrupted."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            return
        stop.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
