"""What a gRPC door counts (names and meanings: ``actors.telemetry.names``)."""

from collections import defaultdict
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from actors.telemetry import names
from actors.telemetry.counting import PlainHistogram
from serve_app.rpc.codes import Code


class MethodSeries:
    """One method. ``in_work`` are its calls now."""

    __slots__ = ("answered", "codes", "in_work", "method", "seconds")

    def __init__(self, method: str) -> None:
        self.method = method
        self.codes: defaultdict[Code, int] = defaultdict(int)
        self.seconds = PlainHistogram()
        self.in_work = 0
        self.answered = 0

    def observe(self, code: Code, seconds: float) -> None:
        self.codes[code] += 1
        self.answered += 1
        self.seconds.observe(seconds)


class RpcMetrics(Collector):
    """Bounded by the number of methods: what no method has shares one series."""

    def __init__(self) -> None:
        self._series: dict[str, MethodSeries] = {}

    def series(self, method: str) -> MethodSeries:
        found = self._series.get(method)
        if found is None:
            found = self._series[method] = MethodSeries(method)
        return found

    def answered(self) -> int:
        """Calls since the start."""
        return sum(series.answered for series in self._series.values())

    @property
    def in_flight(self) -> int:
        return sum(series.in_work for series in self._series.values())

    def collect(self) -> Iterator[Metric]:
        calls = CounterMetricFamily(names.GRPC_CALLS, "Calls answered", labels=["method", "code"])
        seconds = HistogramMetricFamily(names.GRPC_CALL_SECONDS, "Durations", labels=["method"])
        for series in list(self._series.values()):
            for code, count in list(series.codes.items()):
                calls.add_metric([series.method, code.name], count)
            seconds.add_metric([series.method], series.seconds.buckets(), series.seconds.total)
        yield calls
        yield seconds
        yield GaugeMetricFamily(names.GRPC_IN_FLIGHT, "Calls in work", value=self.in_flight)
