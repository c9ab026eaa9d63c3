"""`library start`: the service on the Ray cluster, new or to be brought to this release."""

from __future__ import annotations

import os

import click


@click.command()
def start() -> None:
    """Start the service on the Ray cluster at RAY_ADDRESS, or bring it to this release and these settings.

    What runs the same already is kept. Otherwise processes are replaced one after another: hosts give their users away
    first, doors finish what they are doing, so clients that try again once notice nothing. Returns when the doors are
    replaced; `library release status` shows how far the hosts are.

    Run `library migrate` before, and `library release finish` when everything runs.
    """
    from cluster import service
    from cluster.settings import load_settings

    settings = load_settings(os.environ)
    service.connect(settings)
    service.start(settings, lambda step: click.echo(f"starting {step}"))
    service.wait_until_ready(settings)
    click.echo("the service is ready")
