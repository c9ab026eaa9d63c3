"""A process as one of the cluster's: its node, its release, its part in the fleet."""

import hashlib
import json
from uuid import uuid4

import ray

from actors.fleet.membership import Membership
from actors.fleet.ports import ProcessInfo
from actors.formats import Formats
from cluster.settings import Settings
from persistence.postgres.fleet_store import PostgresFleetStore
from persistence.postgres.pool import ConnectionPool

NODE = "node"
"""In settings: each node's own address."""


def to_be_started(settings: Settings) -> Settings:
    """The settings that all processes get, checked as each will: ``release`` names them, too, by a digest.

    It is made once, by who starts the service. A process that computed it for itself would have another one as soon as
    newer code lay on its node, and be replaced again and again.
    """
    digest = hashlib.sha256(json.dumps(settings.to_plain(), sort_keys=True).encode()).hexdigest()
    release = settings.cluster.release.partition("+")[0]
    named = settings.cluster.model_copy(update={"release": f"{release}+{digest[:8]}"})
    return Settings.from_plain(settings.model_copy(update={"cluster": named}).to_plain())


def ray_node_address() -> str:
    """Of this node, as Ray knows it."""
    return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]


def on_this_node(address: str | None) -> str:
    """An address from the settings, with the word ``node`` (or nothing) resolved."""
    return ray_node_address() if address in (None, NODE) else address


def membership(settings: Settings, name: str, pool: ConnectionPool, formats: Formats) -> Membership:
    """``formats`` are those that the process' other parts use: they learn here what they may write."""
    info = ProcessInfo(
        process_id=uuid4().bytes,
        name=name,
        node=ray_node_address(),
        release=settings.cluster.release,
        newest=formats.newest,
    )
    return Membership(store=PostgresFleetStore(pool), info=info, formats=formats)
