"""How busy the clients of a run are, and with what."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pace:
    """``rate``: of the service's clock. ``timeout_s``: service time of silence after which a session may end. The
    shares are of users, sessions or beats (``curates_share``: of a curator's beats), so that sessions and their
    heartbeats stay most of what is asked; ``beats`` is how long a session is, on average. ``rests_s``: real time that a
    trader takes between two things, at least and at most."""

    rate: float
    timeout_s: float
    beats: float = 12.0
    left_share: float = 0.08
    taken_over_share: float = 0.08
    looks_share: float = 0.1
    repeated_share: float = 0.03
    rare_repeated_share: float = 0.3
    buys_share: float = 0.15
    keyed_share: float = 0.3
    curators_share: float = 0.12
    curates_share: float = 0.3
    asks_share: float = 0.03
    brings_share: float = 0.04
    rests_s: tuple[float, float] = (1.0, 4.0)

    @property
    def excused_after_s(self) -> float:
        """Real seconds without an attempt after which a time-out is the client's own fault."""
        return 0.5 * self.timeout_s / self.rate
