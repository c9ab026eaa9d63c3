"""A router's figures in Prometheus' shape."""

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from actors.router import Router
from actors.telemetry import names
from actors.telemetry.families import counters, gauge


class RouterCollector(Collector):
    """Reads the numbers when somebody asks."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def collect(self) -> Iterator[Metric]:
        metrics = self._router.metrics
        yield counters(
            names.ROUTER_CALLS,
            "What kept calls from going straight through",
            "kind",
            {
                "resent": metrics.resent,
                "wrong_shard": metrics.wrong_shard,
                "gave_up": metrics.gave_up,
                "link_lost": metrics.links_lost,
            },
        )
        yield gauge(names.ROUTER_UNOWNED_SHARDS, "Shards without a reachable owner", self._router.unowned_shards)
