"""What the relay counts. Plain numbers; whoever owns the process exposes them."""

from dataclasses import dataclass


@dataclass(slots=True)
class RelayMetrics:
    """Counters, but for the last two.

    - ``published``: events that Kafka committed, counted again when sent again
    - ``batches``: transactions of Kafka
    - ``failures``: times that Kafka or Postgres was away
    - ``outbox_age_s``: the age of the oldest event of the last page read; grows while Kafka is away
    - ``leading``: 1 while this process is the relay, 0 while another one is
    """

    published: int = 0
    batches: int = 0
    failures: int = 0
    outbox_age_s: float = 0.0
    leading: int = 0
