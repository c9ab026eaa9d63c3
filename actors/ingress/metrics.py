"""What the ingress of one process counts. Plain numbers; whoever owns the process exposes them."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class IngressMetrics:
    """Counters, but for the last two.

    - ``consumed``: records whose effect is durable, dead letters not included
    - ``unchanged``: of those, the ones that changed nothing: duplicates, stale install events, products not owned
    - ``dead_lettered``: by reason (``actors.ingress.decoding.Undecodable``, and ``failed``, ``refused``)
    - ``retries``: attempts that the engine or the dead-letter topic asked to repeat
    - ``commits``, ``commit_failures``: of offsets
    - ``reconnects``: group memberships given up because Kafka was away
    - ``assigned``: partitions that this process reads
    - ``lag``: records not yet durable: in the log and not delivered (as last asked), or delivered and under way
    """

    consumed: int = 0
    unchanged: int = 0
    dead_lettered: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    commits: int = 0
    commit_failures: int = 0
    reconnects: int = 0
    assigned: int = 0
    lag: int = 0
