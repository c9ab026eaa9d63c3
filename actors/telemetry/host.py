"""A host's figures in Prometheus' shape."""

from collections.abc import Iterator

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from actors.metrics import HostMetrics
from actors.telemetry import names
from actors.telemetry.families import counter, counters, gauge, gauges


class HostCollector(Collector):
    """Reads the numbers when somebody asks."""

    def __init__(self, metrics: HostMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        host = self._metrics
        yield counter(names.HOST_COMMANDS, "Commands answered", host.commands)
        yield counters(names.HOST_EVENTS, "Events committed", "type", host.events)
        yield counters(
            names.HOST_COMMITS,
            "Batches",
            "outcome",
            {
                "done": host.commits,
                "fence": host.fence_checks,
                "refused": host.commits_refused,
                "in_doubt": host.commits_in_doubt,
            },
        )
        yield HistogramMetricFamily(
            names.HOST_COMMIT_SECONDS,
            "From the cut of a batch to its commit",
            buckets=host.commit_seconds.buckets(),
            sum_value=host.commit_seconds.total,
        )
        yield counters(
            names.HOST_FLUSHES,
            "Flushes",
            "outcome",
            {"done": host.flushes, "refused": host.flushes_refused, "in_doubt": host.flushes_in_doubt},
        )
        yield counter(names.HOST_FLUSH_SECONDS, "Seconds spent in flushes", host.flush_seconds)
        yield counter(names.HOST_FLUSHED_ROWS, "Rows brought to the tables", host.flushed_rows)
        yield counters(
            names.HOST_COPIES,
            "Copies of libraries and sessions",
            "outcome",
            {"written": host.copies.written, "dropped": host.copies.dropped},
        )
        yield counter(names.HOST_EVICTED, "Users whose libraries left memory", host.evicted)
        yield gauge(names.HOST_LIVE_SESSIONS, "Sessions that have not ended", host.live_sessions)
        yield gauge(names.HOST_RESIDENT_USERS, "Users with more than live sessions in memory", host.resident_users)
        yield gauge(names.HOST_SHARDS, "Shards served", host.serving_shards)
        yield gauge(names.HOST_INTERVAL_SECONDS, "Heartbeat interval told to clients", host.interval_s)
        yield gauges(names.HOST_RECOVERY_SECONDS, "What a takeover took", "phase", host.recovery_seconds)
        yield gauge(names.OUTBOX_BACKLOG, "Events not yet published, about", host.outbox_backlog)
