"""What the Download and the Account Service may answer beside yes: whose fault it is, and whether again helps."""


class NeighbourUnavailable(Exception):
    """The service did not answer in time, or said that it cannot now. For a request that changes something the outcome
    is unknown; asking again is safe (the same request changes nothing twice)."""

    def __init__(self, service: str, retry_after_s: float) -> None:
        super().__init__(service, retry_after_s)
        self.service = service
        self.retry_after_s = retry_after_s


class InstallRefused(Exception):
    """The Download Service will not install this product for this user, now or later. ``reason`` is its own word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
