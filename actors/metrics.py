"""What a host counts: plain numbers, because the hot path must not pay for exposition.

``actors.telemetry`` turns them into Prometheus metrics when somebody asks.
"""

from actors.copies.metrics import CopyMetrics
from actors.domain.events import Event
from actors.ports import FlushBatch
from actors.telemetry.counting import PlainHistogram

COMMIT_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class HostMetrics:
    """Counters since the process began, gauges as of the last sample. Times in seconds."""

    def __init__(self) -> None:
        self.commands = 0
        self.commits = 0
        self.fence_checks = 0
        self.commits_refused = 0
        self.commits_in_doubt = 0
        self.commit_seconds = PlainHistogram(COMMIT_SECONDS)
        self.events: dict[str, int] = {}
        self.flushes = 0
        self.flushes_refused = 0
        self.flushes_in_doubt = 0
        self.flush_seconds = 0.0
        self.flushed_rows = 0
        self.evicted = 0
        self.outbox_backlog = 0
        self.interval_s = 0
        self.resident_users = 0
        self.live_sessions = 0
        self.serving_shards = 0
        self.recovery_seconds: dict[str, float] = {}
        self.copies = CopyMetrics()

    def batch_done(self, commands: int, committed: bool, seconds: float) -> None:
        self.commands += commands
        if committed:
            self.commits += 1
        else:
            self.fence_checks += 1
        self.commit_seconds.observe(seconds)

    def event(self, event: Event) -> None:
        name = type(event).__name__
        self.events[name] = self.events.get(name, 0) + 1

    def flush_done(self, batch: FlushBatch, seconds: float) -> None:
        self.flushes += 1
        self.flush_seconds += seconds
        self.flushed_rows += (
            len(batch.items)
            + len(batch.removed)
            + len(batch.returned)
            + len(batch.categories)
            + len(batch.categories_deleted)
            + len(batch.sessions_live)
            + len(batch.sessions_ended)
            + len(batch.heartbeats)
            + len(batch.purchases)
            + len(batch.commands)
            + len(batch.anomalies)
            + len(batch.outbox)
        )
