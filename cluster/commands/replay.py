"""`library replay FILE.csv`: real play hours through the running service, and the ledger checked to the second."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

POSITIVE = click.FloatRange(min=0, min_open=True)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--scale",
    type=POSITIVE,
    default=60.0,
    show_default=True,
    help="How many times shorter the play is: 60 makes a minute of an hour.",
)
@click.option(
    "--cap", "cap_hours", type=POSITIVE, default=60.0, show_default=True, help="Hours above which a row is cut."
)
@click.option(
    "--offline",
    is_flag=True,
    help="Send the file's hours, uncut and unscaled, as sessions that were recorded offline over many days; "
    "twice changes nothing.",
)
@click.option("--limit-rows", type=click.IntRange(min=1), help="Play only the first rows.")
@click.option(
    "--live-sessions",
    "lanes",
    type=click.IntRange(1, 5),
    default=4,
    show_default=True,
    help="Games that one user plays at once; the service allows 5.",
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
    type=POSITIVE,
    show_default="what the service stored in Postgres, else LIBRARY_CLOCK_RATE",
    help="How fast the service's clock runs.",
)
@click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    help="Seconds after which a client without an answer gives up.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Decides orders, repeated events and arrivals.")
@click.option("--url", show_default="of the settings", help="Base URL of the REST API.")
@click.option("--kafka", show_default="KAFKA_BROKERS", help="Brokers: host:port, several with commas.")
@click.option("--dsn", show_default="POSTGRES_DSN", help="Postgres, for the check.")
@click.option("--token-secret", show_default="AUTH_JWT_HS256_SECRET", help="Signs the users' tokens (HS256).")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the report there as well."
)
def replay(kafka: str | None, dsn: str | None, token_secret: str | None, **options: Any) -> int:
    """Play FILE (user_id,game_title,hours_played) through the running service.

    Purchase events go into Kafka, then every user plays over HTTP as game clients do. In the end each item's total
    must be the sum of its sessions, and every acknowledged start, heartbeat and end must be kept, by the API and by
    Postgres. Needs nothing else beside `library run`. Ctrl-C ends the play early; what was played is checked.

    With --offline nobody plays: every user brings finished sessions, and each total must be the file's hours to the
    second. --scale, --cap, --live-sessions and --rate say nothing then; --concurrency is users, at most 32.

    Exit status: 0 if the ledger is exact, 1 if it is not or a client gave up, 130 if the play was ended early.
    """
    from rich.console import Console

    from cluster.errors import DemoError
    from cluster.replay.main import Options, replay_file
    from cluster.replay.playfile import BadPlayFile

    named = {"KAFKA_BROKERS": kafka, "POSTGRES_DSN": dsn, "AUTH_JWT_HS256_SECRET": token_secret}
    environ = {**os.environ, **{name: value for name, value in named.items() if value is not None}}
    try:
        return replay_file(Options(**options), environ, Console())
    except BadPlayFile as error:
        raise click.ClickException(f"{options['file']}, {error}") from error
    except DemoError as error:
        raise click.ClickException(str(error)) from error
