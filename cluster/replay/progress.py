"""What a run shows while it runs: a bar on a terminal, a line now and then in a log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cluster.replay.pause import Pause
from cluster.replay.plan import Plan
from cluster.replay.run import Outcome

BAR_EVERY_S = 0.5
LINE_EVERY_S = 30.0


class Watched(Protocol):
    """A run while it goes on."""

    plan: Plan
    outcome: Outcome
    pause: Pause


@asynccontextmanager
async def shown(replay: Watched, console: Console) -> AsyncIterator[None]:
    """Shows the run as long as the block goes on."""
    watching = asyncio.create_task(_bar(replay, console) if console.is_terminal else _lines(replay, console))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def _bar(replay: Watched, console: Console) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        bar = progress.add_task("", total=replay.plan.seconds, figures="")
        rate = _BeatRate(replay)
        while True:
            played_s = replay.outcome.figures.played_s
            progress.update(
                bar, description=_phase(replay), completed=played_s, figures=_figures(replay, rate.per_second())
            )
            progress.refresh()
            await asyncio.sleep(BAR_EVERY_S)


async def _lines(replay: Watched, console: Console) -> None:
    rate = _BeatRate(replay)
    while True:
        await asyncio.sleep(LINE_EVERY_S)
        share = replay.outcome.figures.played_s / max(1, replay.plan.seconds)
        console.print(f"{_phase(replay)} {share:.0%} {_figures(replay, rate.per_second())}", highlight=False)


class _BeatRate:
    """Acknowledged heartbeats a second since the last time it was asked."""

    def __init__(self, replay: Watched) -> None:
        self._replay = replay
        self._beats = 0
        self._at = asyncio.get_running_loop().time()

    def per_second(self) -> float:
        now, beats = asyncio.get_running_loop().time(), self._replay.outcome.figures.beats
        rate = (beats - self._beats) / max(0.001, now - self._at)
        self._at, self._beats = now, beats
        return rate


def _phase(replay: Watched) -> str:
    return "ending" if replay.pause.is_cut and replay.outcome.phase == "playing" else replay.outcome.phase


def _figures(replay: Watched, beats_per_second: float) -> str:
    figures = replay.outcome.figures
    return (
        f"{figures.sessions_live:,} live, {figures.plays_done:,}/{replay.plan.items:,} games, "
        f"{beats_per_second:,.0f} beats/s, {figures.retries.total():,} retries"
    )
