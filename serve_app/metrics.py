"""What a door counts (names and meanings: ``actors.telemetry.names``)."""

from collections import defaultdict
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from actors.telemetry import names
from actors.telemetry.counting import PlainHistogram


class RouteSeries:
    """One method and route."""

    __slots__ = ("method", "route", "seconds", "statuses")

    def __init__(self, method: str, route: str) -> None:
        self.method = method
        self.route = route
        self.statuses: defaultdict[int, int] = defaultdict(int)
        self.seconds = PlainHistogram()

    def observe(self, status: int, seconds: float) -> None:
        self.statuses[status] += 1
        self.seconds.observe(seconds)


class DoorMetrics(Collector):
    """Bounded by the number of routes: methods and paths that no route knows share one series."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.connections: Callable[[], int] = lambda: 0
        self.stale_pages: Callable[[], int] = lambda: 0
        self.wire_refusals: defaultdict[str, int] = defaultdict(int)
        self._series: dict[tuple[str, str], RouteSeries] = {}

    def series(self, method: str, route: str) -> RouteSeries:
        key = (method, route)
        found = self._series.get(key)
        if found is None:
            found = self._series[key] = RouteSeries(method, route)
        return found

    def count_wire_refusal(self, code: str) -> None:
        self.wire_refusals[code] += 1

    def answered(self) -> int:
        """How many requests were answered since the start."""
        return sum(sum(series.statuses.values()) for series in self._series.values())

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(names.HTTP_REQUESTS, "Answers", labels=["method", "route", "status"])
        seconds = HistogramMetricFamily(names.HTTP_REQUEST_SECONDS, "Durations", labels=["method", "route"])
        for series in list(self._series.values()):
            for status, count in list(series.statuses.items()):
                requests.add_metric([series.method, series.route, str(status)], count)
            seconds.add_metric([series.method, series.route], series.seconds.buckets(), series.seconds.total)
        yield requests
        yield seconds
        yield GaugeMetricFamily(names.HTTP_IN_FLIGHT, "Requests in work", value=self.in_flight)
        yield GaugeMetricFamily(names.HTTP_CONNECTIONS, "Open connections", value=self.connections())
        yield CounterMetricFamily(names.HTTP_STALE_PAGES, "Pages from copies", value=self.stale_pages())
        yield _counter(names.HTTP_REFUSED, "Refused on the wire", "code", self.wire_refusals)


class AuthMetrics(Collector):
    """Of the one authenticator of a process' doors."""

    def __init__(self) -> None:
        self._failures: defaultdict[str, int] = defaultdict(int)

    def count_failure(self, reason: str) -> None:
        self._failures[reason] += 1

    def collect(self) -> Iterator[Metric]:
        yield _counter(names.AUTH_FAILURES, "Not authenticated", "reason", self._failures)


def _counter(name: str, documentation: str, label: str, counts: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, documentation, labels=[label])
    for value, count in list(counts.items()):
        family.add_metric([value], count)
    return family
