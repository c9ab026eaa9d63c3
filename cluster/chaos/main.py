"""`library chaos` itself: faults one after the other until it is enough, then the verdict."""

import asyncio
import logging
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import uvloop
from rich.console import Console

from cluster.chaos.disk import CannotMount, mount_for_postgres
from cluster.chaos.faults import KINDS, fault
from cluster.chaos.report import line, print_verdict
from cluster.chaos.running import ServiceFailed
from cluster.chaos.set_up import Options
from cluster.chaos.trial import Injected, Trial, Verdict

PAUSE_S = (2.0, 6.0)
STATUS_EVERY_S = 30.0
KEPT, BROKEN, INTERRUPTED = 0, 1, 130
LOGS = ("history.jsonl", "run.log", "postgres.log", "kafka.log", "ray.log", "rival.log")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``faults`` or ``minutes`` end it, whichever comes first; ``only``: these kinds."""

    options: Options
    faults: int | None
    minutes: float | None
    only: Sequence[str]
    keep: Path


def run(plan: Plan, console: Console) -> int:
    """The exit status. Mounts first: that must happen before there are threads."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that Kafka is away is what is wanted
    directory = plan.options.directory
    kinds = list(plan.only or KINDS)
    options = plan.options
    if "disk-full" in kinds:
        try:
            options = replace(options, disk=mount_for_postgres(directory))
        except CannotMount as cannot:
            kinds.remove("disk-full")
            console.print(f"disk-full is skipped: {cannot}", markup=False)
    if not kinds:
        return KEPT
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(replace(plan, options=options), kinds, console))
    except asyncio.CancelledError:
        console.print("Interrupted: nothing was judged.")
        return INTERRUPTED
    finally:
        if options.disk is not None:
            options.disk.unmount()


def schedule(kinds: Sequence[str], seed: int) -> Iterator[str]:
    """Every kind once, in an order of the seed's own; then again in another."""
    random = Random(seed)
    while True:
        yield from random.sample(kinds, len(kinds))


async def _run(plan: Plan, kinds: Sequence[str], console: Console) -> int:
    options = plan.options

    def say(text: str) -> None:
        console.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {text}", highlight=False, soft_wrap=True)

    try:
        with _ctrl_c() as cut:
            async with Trial.running(options, say, lambda: _copy_logs(options.directory, plan.keep)) as trial:
                watching = asyncio.create_task(_watch(trial, console))
                try:
                    injected = await _inject_all(plan, kinds, trial, cut, say)
                    verdict = await trial.finish(say)
                finally:
                    watching.cancel()
                    await asyncio.wait([watching])
                kept = await asyncio.to_thread(_keep, plan, verdict) if verdict.violations else None
    except ServiceFailed as failed:
        say(f"[bold red]the trial could not be made:[/] {failed}; its logs: {plan.keep}")
        return BROKEN
    print_verdict(console, verdict, injected, kept)
    return BROKEN if verdict.violations else KEPT


async def _inject_all(
    plan: Plan, kinds: Sequence[str], trial: Trial, cut: asyncio.Event, say: Callable[[str], None]
) -> list[Injected]:
    injected: list[Injected] = []
    loop = asyncio.get_running_loop()
    end_at = None if plan.minutes is None else loop.time() + 60 * plan.minutes
    random = Random(plan.options.seed)
    say(f"{trial.crowd.live:,} sessions are live; faults begin (seed {plan.options.seed})")
    for kind in schedule(kinds, plan.options.seed):
        if cut.is_set() or len(injected) == plan.faults or (end_at is not None and loop.time() > end_at):
            return injected
        say(f"[yellow]{kind}[/]: {fault(kind).what}")
        injected.append(await trial.inject(fault(kind)))
        say(line(injected[-1]))
        if trial.stage.library.ended:
            return injected
        with suppress(TimeoutError):
            async with asyncio.timeout(random.uniform(*PAUSE_S)):
                await cut.wait()
    return injected


async def _watch(trial: Trial, console: Console) -> None:
    """On a terminal a line that is alive; elsewhere one now and then."""
    before, at = trial.crowd.beats, trial.calls.now()
    if console.is_terminal:
        with console.status("") as status:
            while True:
                status.update(_status(trial, before, at))
                before, at = trial.crowd.beats, trial.calls.now()
                await asyncio.sleep(1.0)
    while True:
        await asyncio.sleep(STATUS_EVERY_S)
        console.print(f"  {_status(trial, before, at)}", highlight=False)
        before, at = trial.crowd.beats, trial.calls.now()


def _status(trial: Trial, beats_before: int, at: float) -> str:
    rate = (trial.crowd.beats - beats_before) / max(0.001, trial.calls.now() - at)
    waits_s = trial.calls.longest_wait_s()
    return (
        f"{trial.crowd.live:,} live, {rate:,.0f} heartbeats/s, longest wait now {waits_s:.1f} s, "
        f"{trial.crowd.violations + len(trial.findings)} findings"
    )


def _keep(plan: Plan, verdict: Verdict) -> Path:
    """Everything that helps to understand a finding, out of the directory that is about to be removed."""
    _copy_logs(plan.options.directory, plan.keep)
    (plan.keep / "findings.txt").write_text("".join(f"{violation}\n" for violation in verdict.violations))
    return plan.keep


def _copy_logs(directory: Path, keep: Path) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    for name in LOGS:
        if (directory / name).exists():
            shutil.copy(directory / name, keep / name)
    for session in Path(tempfile.gettempdir()).glob("library-ray-*/session_latest/logs"):
        if _is_of(session, directory):
            shutil.copytree(session, keep / "ray", dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))


def _is_of(logs: Path, directory: Path) -> bool:
    state = directory / "state.json"
    return state.exists() and str(logs.parents[1]) in state.read_text()


@contextmanager
def _ctrl_c() -> Iterator[asyncio.Event]:
    """The first Ctrl-C ends the faults, the verdict follows; the second, or SIGTERM, ends everything."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    cut = asyncio.Event()

    assert task is not None, "a coroutine runs in a task"

    def on_ctrl_c() -> None:
        if cut.is_set():
            task.cancel()
        cut.set()

    loop.add_signal_handler(signal.SIGINT, on_ctrl_c)
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield cut
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)
