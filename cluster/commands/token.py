"""`library token`: a bearer token for trying things out, in development."""

from __future__ import annotations

import os
from uuid import UUID

import click


@click.command()
@click.option("--user", "user_id", type=click.UUID, help="The user's id.  [default: the demo user]")
@click.option("--hours", type=click.IntRange(1, 8760), default=24, show_default=True, help="How long it is good for.")
@click.option("--role", "roles", multiple=True, help="A role, such as game_server; may be repeated.")
def token(user_id: UUID | None, hours: int, roles: tuple[str, ...]) -> None:
    """Print a token that the doors of a development service accept.

    Use as:  curl -H "Authorization: Bearer $(library token)" http://127.0.0.1:8084/api/v1/library/items
    """
    from cluster.demo import USER_ID, make_token
    from cluster.development import settings_without_servers

    click.echo(make_token(settings_without_servers(os.environ), user_id or USER_ID, hours * 3600, roles=roles))
