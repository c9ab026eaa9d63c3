"""`library replay` itself: reads, finds the service, plays, reports."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from uuid import UUID

import uvloop
from rich.console import Console

from cluster.demo import make_token
from cluster.replay.evidence import PostgresTables
from cluster.replay.offline_report import print_offline_outcome, print_offline_plan
from cluster.replay.offline_run import OfflineReplay
from cluster.replay.patience import Patience
from cluster.replay.plan import Plan, PlanOptions, make_plan
from cluster.replay.playfile import read_play_file
from cluster.replay.progress import shown
from cluster.replay.report import as_json, print_outcome, print_plan
from cluster.replay.run import Outcome, Pace, Replay, Surroundings, ctrl_c_cuts
from cluster.replay.target import base_url, clock_rate_of, find_settings, purchases_topic
from cluster.settings import Settings
from cluster.wiring.values import dsn

OFFLINE_USERS = 32
"""At once: each sends a hundred sessions in one call."""

EXACT, NOT_EXACT, INTERRUPTED = 0, 1, 130


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line. ``url`` None: of the settings. ``rate`` None: what Postgres says, else the settings."""

    file: Path
    scale: float
    cap_hours: float
    limit_rows: int | None
    lanes: int
    workers: int
    rate: float | None
    patience_s: float
    seed: int
    url: str | None
    json_file: Path | None
    offline: bool = False

    @property
    def plan_options(self) -> PlanOptions:
        """Offline the file's hours are played as they are."""
        if self.offline:
            return PlanOptions(scale=1.0, cap_hours=inf, seed=self.seed, offline=True)
        return PlanOptions(scale=self.scale, cap_hours=self.cap_hours, seed=self.seed)


def replay_file(options: Options, environ: Mapping[str, str], console: Console) -> int:
    """The exit status. Raises ``BadPlayFile``, ``SettingsError``, ``DevStackError``, ``DemoError``."""
    rows = read_play_file(options.file, options.limit_rows)
    settings = find_settings(environ)
    plan = make_plan(rows, options.plan_options)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            pace, outcome = runner.run(_run(plan, settings, options, console))
    except asyncio.CancelledError:
        console.print("Interrupted: nothing was checked.")
        return INTERRUPTED
    if options.offline:
        print_offline_outcome(console, plan, outcome)
    else:
        print_outcome(console, plan, pace, outcome)
    if options.json_file is not None:
        report = json.dumps(as_json(plan, pace, outcome), indent=2, ensure_ascii=False)
        options.json_file.write_text(report + "\n", encoding="utf-8")
    if not outcome.is_exact:
        return NOT_EXACT
    return INTERRUPTED if outcome.cut else EXACT


async def _run(plan: Plan, settings: Settings, options: Options, console: Console) -> tuple[Pace, Outcome]:
    pace = Pace(
        rate=await _rate(settings, options, console),
        workers=options.workers,
        lanes=options.lanes,
        seed=options.seed,
        patience=Patience(total_s=options.patience_s),
    )
    surroundings = Surroundings(
        url=options.url or base_url(settings),
        headers_of=lambda user_id: {"Authorization": f"Bearer {make_token(settings, UUID(user_id))}"},
        open_topic=lambda retries: purchases_topic(settings, retries),
        tables=PostgresTables(dsn(settings)),
    )
    replay: Replay | OfflineReplay
    if options.offline:
        pace = replace(pace, workers=min(pace.workers, OFFLINE_USERS))
        print_offline_plan(console, plan, pace)
        replay = OfflineReplay(plan, pace, surroundings)
    else:
        print_plan(console, plan, pace, options.scale, options.cap_hours)
        replay = Replay(plan, pace, surroundings)
    with ctrl_c_cuts(replay.pause):
        async with shown(replay, console):
            return pace, await replay.run()


async def _rate(settings: Settings, options: Options, console: Console) -> float:
    stored = await clock_rate_of(dsn(settings))
    rate = options.rate or stored or settings.cluster.clock_rate
    if stored is not None and rate != stored:
        console.print(f"[yellow]The service's clock runs at {stored:g}, not at the {rate:g} of --rate.[/]")
    return rate
