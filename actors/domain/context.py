"""What a rule may know besides the state and the command. No clock, no randomness: both come in here."""

from collections.abc import Callable

from msgspec import Struct

from actors.domain.ids import SECOND, Micros


class Policy(Struct, frozen=True):
    """The figures the rules go by; seconds of service time."""

    heartbeat_interval_s: int = 60
    session_timeout_s: int = 300
    max_live_sessions: int = 5

    def timeout_after(self, interval_s: int) -> int:
        """Microseconds of silence that end a session which was told to beat every ``interval_s`` (R-PT-10)."""
        base = self.heartbeat_interval_s
        return self.session_timeout_s * SECOND * max(base, interval_s) // base


class Context(Struct, frozen=True):
    """One batch's surroundings, as seen by one shard.

    ``now`` is service time, ``real_now`` unaccelerated time (command ids live by it), ``heard_since`` the moment since
    which silence counts (see ``sessions.is_silent``), ``interval_s`` the heartbeat interval to tell clients now.
    """

    now: Micros
    real_now: Micros
    heard_since: Micros
    interval_s: int
    policy: Policy
    new_id: Callable[[], bytes]
