"""`library migrate`: brings the database to this release's schema."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click


@click.command()
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The YAML file to use instead of LIBRARY_CONFIG_FILE or configs/library_config.yaml.",
)
def migrate(config_file: Path | None) -> None:
    """Apply the migrations that the database at POSTGRES_DSN does not have yet.

    Safe to repeat, and safe while the previous release still runs. Needs no other setting.
    """
    from cluster.settings import load_database
    from persistence.postgres import migrate as migrations

    database = load_database(os.environ, config_file)
    applied = asyncio.run(migrations.migrate(database.postgres_dsn.get_secret_value()))
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("nothing to do: the database is up to date")
