"""The heartbeat interval that clients are told: the base interval, longer while the host is busy (R-PT-10)."""

from actors.domain.context import Policy

BUSY = 0.75
"""Load (share of a core, or of the mailbox) up to which the base interval holds."""
LONGEST = 4
"""Times the base interval, at full load."""
SMOOTHING = 0.2


class Pace:
    """Fed once a second with the load; slow to react, so that a burst changes nothing."""

    def __init__(self, policy: Policy) -> None:
        self._base_s = policy.heartbeat_interval_s
        self._load = 0.0

    def sample(self, load: float) -> None:
        """``load`` between 0 (idle) and 1 (no room left)."""
        self._load += SMOOTHING * (min(1.0, max(0.0, load)) - self._load)

    def interval_s(self) -> int:
        """Whole seconds of service time."""
        over = max(0.0, self._load - BUSY) / (1 - BUSY)
        return round(self._base_s * (1 + over * (LONGEST - 1)))
