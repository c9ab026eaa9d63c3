"""What every run of a benchmark says and how it ends, so that each file is about what it measures."""

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar

from rich.console import Console

from cluster.chaos.running import ServiceFailed
from tests.benchmarks.failure import BenchmarkFailed

T = TypeVar("T")
Say = Callable[[str], None]


def carry_out(run: Callable[[ExitStack, Say], T], finish: Callable[[T, Console], Any]) -> int:
    """The exit status. ``run`` is told where to put what must end with it, and how to tell people how far it is;
    ``finish`` gets what it found. Interrupted 130; without figures 1, with a line that says why."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(highlight=False, soft_wrap=True)
    began = time.monotonic()

    def say(what: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:4.0f} s[/]  {what}")

    try:
        with ExitStack() as ending:
            found = run(ending, say)
    except KeyboardInterrupt:
        return 130
    except (BenchmarkFailed, ServiceFailed) as failed:
        console.print(f"[bold red]no figures:[/] {failed}")
        return 1
    finish(found, console)
    return 0
