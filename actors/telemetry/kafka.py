"""The figures of ingress and relay in Prometheus' shape."""

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from actors.ingress.metrics import IngressMetrics
from actors.relay.metrics import RelayMetrics
from actors.telemetry import names
from actors.telemetry.families import counter, counters, gauge


class IngressCollector(Collector):
    """Reads the numbers when somebody asks."""

    def __init__(self, metrics: IngressMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        ingress = self._metrics
        yield counters(
            names.INGRESS_EVENTS,
            "Events taken from Kafka",
            "outcome",
            {
                "applied": ingress.consumed - ingress.unchanged,
                "unchanged": ingress.unchanged,
                "dead_letter": ingress.dead_lettered.total(),
            },
        )
        yield counters(names.INGRESS_DEAD_LETTERS, "Dead letters", "reason", ingress.dead_lettered)
        yield counter(names.INGRESS_RETRIES, "Attempts that were repeated", ingress.retries)
        yield gauge(names.INGRESS_PARTITIONS, "Partitions that this process reads", ingress.assigned)
        yield gauge(names.INGRESS_LAG, "Events whose effect is not durable yet", ingress.lag)


class RelayCollector(Collector):
    """Reads the numbers when somebody asks."""

    def __init__(self, metrics: RelayMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        relay = self._metrics
        yield counter(names.RELAY_PUBLISHED, "Events that Kafka has committed", relay.published)
        yield counter(names.RELAY_FAILURES, "Times that Kafka or Postgres was away", relay.failures)
        yield gauge(names.RELAY_OUTBOX_AGE_SECONDS, "Age of the oldest event not yet published", relay.outbox_age_s)
        yield gauge(names.RELAY_LEADING, "Whether this process publishes", relay.leading)
