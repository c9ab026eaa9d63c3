"""The figures of the clients of other services, and their Prometheus shape."""

from collections import Counter
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from actors.telemetry import names


class NeighbourMetrics:
    """Of one service, counted since the process began."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.attempts = 0
        self.refused = 0
        self.failures: Counter[str] = Counter()

    def failed(self, reason: str) -> None:
        self.failures[reason.partition(":")[0]] += 1


class NeighbourCollector(Collector):
    """Reads the numbers when somebody asks."""

    def __init__(self, services: Sequence[NeighbourMetrics]) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        attempts = CounterMetricFamily(names.NEIGHBOUR_ATTEMPTS, "Calls of other services", labels=["service"])
        refused = CounterMetricFamily(names.NEIGHBOUR_REFUSED, "Calls that were not made", labels=["service"])
        failures = CounterMetricFamily(names.NEIGHBOUR_FAILURES, "Calls that failed", labels=["service", "reason"])
        for metrics in self._services:
            attempts.add_metric([metrics.service], metrics.attempts)
            refused.add_metric([metrics.service], metrics.refused)
            for reason, count in sorted(metrics.failures.items()):
                failures.add_metric([metrics.service, reason], count)
        yield from (attempts, refused, failures)
