"""The supervisor's figures in Prometheus' shape."""

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from actors.supervisor import Supervisor
from actors.telemetry import names
from actors.telemetry.families import counters, gauge


class SupervisorCollector(Collector):
    """Reads the numbers when somebody asks."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def collect(self) -> Iterator[Metric]:
        supervisor = self._supervisor
        yield counters(
            names.SUPERVISOR_ROUNDS,
            "Looks at what is and what is wanted",
            "outcome",
            {"done": supervisor.rounds, "failed": supervisor.rounds_failed},
        )
        yield gauge(names.SUPERVISOR_WANTED_HOSTS, "Hosts that are to be", supervisor.wanted_hosts)
        yield gauge(names.SUPERVISOR_SHARDS_TO_MOVE, "Shards to be moved", supervisor.shards_to_move)
