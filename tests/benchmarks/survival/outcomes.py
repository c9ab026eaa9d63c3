"""What the open-loop client recorded, and what it says."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ACCEPTED = 204


@dataclass(frozen=True, kw_only=True)
class Record:
    """Columns by request: how late it left, how long it took from the instant it was meant to leave, its status."""

    late_us: Sequence[int]
    took_us: Sequence[int]
    status: Sequence[int]

    def __len__(self) -> int:
        return len(self.status)


def read_record(path: Path) -> Record:
    columns: array[int] = array("q")
    columns.frombytes(path.read_bytes())
    count = len(columns) // 3
    return Record(late_us=columns[:count], took_us=columns[count : 2 * count], status=columns[2 * count :])


def percentile(ordered: Sequence[int], share: float) -> int:
    """The smallest value that at least this share is not above; 0 of nothing."""
    if not ordered:
        return 0
    return ordered[min(len(ordered) - 1, max(0, -int(-len(ordered) * share // 1) - 1))]


def summary(record: Record, numbers: Iterable[int] | None = None, *, accepted: int = ACCEPTED) -> dict[str, float]:
    """Milliseconds over these requests (all, if not told), refused and unanswered ones included."""
    chosen = range(len(record)) if numbers is None else list(numbers)
    took = sorted(record.took_us[number] for number in chosen)
    late = sorted(record.late_us[number] for number in chosen)
    return {
        "requests": len(chosen),
        "not_accepted": sum(record.status[number] != accepted for number in chosen),
        "p50_ms": round(percentile(took, 0.5) / 1000, 2),
        "p95_ms": round(percentile(took, 0.95) / 1000, 2),
        "p99_ms": round(percentile(took, 0.99) / 1000, 2),
        "max_ms": round((took[-1] if took else 0) / 1000, 2),
        "client_late_p99_ms": round(percentile(late, 0.99) / 1000, 2),
    }
