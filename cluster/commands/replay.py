"""`library replay FILE.csv`: real play hours through the running service, and the ledger checked to the second."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import uvloop
from rich.console import Console

from cluster.dev.errors import DevStackError
from cluster.dev.stack import DevStack
from cluster.replay.evidence import PostgresTables
from cluster.replay.patience import Patience
from cluster.replay.plan import Plan, PlanOptions, make_plan
from cluster.replay.playfile import BadPlayFile, read_play_file
from cluster.replay.progress import shown
from cluster.replay.report import as_json, print_outcome, print_plan
from cluster.replay.run import Outcome, Pace, Replay, Surroundings, ctrl_c_cuts
from cluster.replay.target import Target, clock_rate_of, headers_maker, purchases_topic
from cluster.settings import Settings, SettingsError, load_settings

DEV_DIRECTORY = Path(".dev")
INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """Options that say it otherwise than the settings do."""

    url: str | None
    kafka: str | None
    dsn: str | None
    token_secret: str | None


@click.command("replay")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="How many times shorter the play is than the file's hours: 60 makes a minute of an hour.",
)
@click.option(
    "--cap",
    "cap_hours",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Hours above which a row is cut.",
)
@click.option("--limit-rows", type=click.IntRange(min=1), help="Play only the first rows of the file.")
@click.option(
    "--live-sessions",
    "lanes",
    type=click.IntRange(1, 5),
    default=4,
    show_default=True,
    help="Games that a user plays at once; the service allows 5.",
)
@click.option(
    "--concurrency",
    "workers",
    type=click.IntRange(1, 10_000),
    default=500,
    show_default=True,
    help="Games that all users together play at once.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    help="The service's clock rate.  [default: what Postgres says, else LIBRARY_CLOCK_RATE]",
)
@click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    help="Seconds after which a client that gets no answer gives up.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Decides orders, repeated events and arrivals.")
@click.option("--url", help="The REST API.  [default: of the settings]")
@click.option("--kafka", help="Brokers, host:port with commas.  [default: KAFKA_BROKERS]")
@click.option("--dsn", help="Postgres, for the check.  [default: POSTGRES_DSN]")
@click.option("--token-secret", help="HS256 secret of development tokens.  [default: AUTH_JWT_HS256_SECRET]")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the report there.")
def replay(
    file: Path,
    *,
    scale: float,
    cap_hours: float,
    limit_rows: int | None,
    lanes: int,
    workers: int,
    rate: float | None,
    patience_s: float,
    seed: int,
    url: str | None,
    kafka: str | None,
    dsn: str | None,
    token_secret: str | None,
    json_file: Path | None,
) -> None:
    """Play FILE (user_id,game_title,hours_played) through the running service, as game clients and a payment service
    would, and check the ledger afterwards. Exit status 1 if it is not exact."""
    console = Console()
    target, configured_rate = find_target(
        os.environ, Overrides(url=url, kafka=kafka, dsn=dsn, token_secret=token_secret)
    )
    try:
        rows = read_play_file(file, limit_rows)
    except BadPlayFile as error:
        raise click.ClickException(f"{file}, {error}") from error
    plan = make_plan(rows, PlanOptions(scale=scale, cap_hours=cap_hours, seed=seed))

    async def run() -> tuple[Pace, Outcome]:
        pace = Pace(
            rate=await _rate(console, rate, target, configured_rate),
            workers=workers,
            lanes=lanes,
            seed=seed,
            patience=Patience(total_s=patience_s),
        )
        print_plan(console, plan, pace, scale, cap_hours)
        return pace, await _play(plan, pace, target, console)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pace, outcome = runner.run(run())
    print_outcome(console, plan, pace, outcome)
    if json_file is not None:
        json_file.write_text(json.dumps(as_json(plan, pace, outcome), indent=2) + "\n", encoding="utf-8")
    if not outcome.is_exact:
        raise click.exceptions.Exit(1)
    if outcome.cut:
        raise click.exceptions.Exit(INTERRUPTED)


def find_target(environ: Mapping[str, str], overrides: Overrides) -> tuple[Target, float]:
    """The service of the environment, else of the development stack that runs here; and its configured clock rate."""
    settings = _settings(environ, overrides)
    secret = overrides.token_secret
    if secret is None:
        if settings.auth.jwt_hs256_secret is None:
            raise click.ClickException("tokens cannot be made: the service takes none of development (--token-secret)")
        secret = settings.auth.jwt_hs256_secret.get_secret_value()
    target = Target(
        url=overrides.url or f"http://{_reachable(settings.server.http_host)}:{settings.server.http_port}",
        kafka_brokers=",".join(settings.kafka.brokers),
        purchases_topic=settings.kafka.topic_purchases,
        postgres_dsn=settings.database.postgres_dsn.get_secret_value(),
        token_secret=secret.encode(),
        audience=settings.auth.jwt_audience,
        issuer=settings.auth.jwt_issuer,
    )
    return target, settings.cluster.clock_rate


def _settings(environ: Mapping[str, str], overrides: Overrides) -> Settings:
    named = {"KAFKA_BROKERS": overrides.kafka, "POSTGRES_DSN": overrides.dsn}
    variables = {**environ, **{name: value for name, value in named.items() if value is not None}}
    if not (variables.get("POSTGRES_DSN") and variables.get("KAFKA_BROKERS")):
        variables = {**_development(), **variables}
    try:
        return load_settings(variables)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def _development() -> dict[str, str]:
    if not DEV_DIRECTORY.is_dir():
        return {}
    try:
        return {"LIBRARY_ENVIRONMENT": "development", **DevStack(DEV_DIRECTORY).environment()}
    except DevStackError as error:
        raise click.ClickException(str(error)) from error


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host


async def _rate(console: Console, asked: float | None, target: Target, configured: float) -> float:
    stored = await clock_rate_of(target.postgres_dsn)
    rate = asked or stored or configured
    if stored is not None and rate != stored:
        console.print(f"[yellow]The service's clock runs at {stored:g}, the clients' at {rate:g} (--rate).[/]")
    return rate


async def _play(plan: Plan, pace: Pace, target: Target, console: Console) -> Outcome:
    surroundings = Surroundings(
        url=target.url,
        headers_of=headers_maker(target),
        open_topic=lambda retries: purchases_topic(target, retries),
        tables=PostgresTables(target.postgres_dsn),
    )
    replay = Replay(plan, pace, surroundings)
    with ctrl_c_cuts(replay.pause):
        async with shown(replay, console):
            return await replay.run()
