"""What the rounds ask of a service under test, ours or a peer's."""

from collections.abc import Mapping
from typing import Protocol


class Contender(Protocol):
    name: str
    url: str
    settle_s: float
    """How long after the load its servers still work for it."""

    def processes(self) -> Mapping[int, str]:
        """Every process that works for it, with the label its CPU is shown under."""
        ...

    def counters(self) -> Mapping[str, float]:
        """What it counts about its own work, since it began."""
        ...
