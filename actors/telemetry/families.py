"""Plain numbers as Prometheus families, in a line each."""

from collections.abc import Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily


def counter(name: str, what: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(name, what, value=value)


def counters(name: str, what: str, label: str, values: Mapping[str, float]) -> CounterMetricFamily:
    """One sample a value of ``label``."""
    family = CounterMetricFamily(name, what, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def gauges(name: str, what: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    """One sample a value of ``label``."""
    family = GaugeMetricFamily(name, what, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, value=value)
