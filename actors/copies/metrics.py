"""What a host counts about its copies."""


class CopyMetrics:
    """Counted since the process began: libraries and sessions that were written, and that were not."""

    def __init__(self) -> None:
        self.written = 0
        self.dropped = 0
