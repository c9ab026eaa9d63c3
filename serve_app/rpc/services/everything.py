"""All methods of a gRPC door."""

from serve_app.ports import ManyActors
from serve_app.rpc.methods import Method, Table, table
from serve_app.rpc.services.health import Health, health_methods
from serve_app.rpc.services.heartbeats import Heartbeats, session_methods
from serve_app.rpc.services.queries import Queries, query_methods
from serve_app.rpc.services.reflection import reflection_methods


def everything(actors: ManyActors, health: Health, *, command_timeout_s: float) -> Table:
    """``health`` is kept by the door, which knows when it drains."""
    methods: list[Method] = [
        *query_methods(Queries(actors, command_timeout_s=command_timeout_s)),
        *session_methods(Heartbeats(actors, command_timeout_s=command_timeout_s)),
        *health_methods(health),
    ]
    services = sorted({method.service for method in methods})
    return table([*methods, *reflection_methods(services)])
