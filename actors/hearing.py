"""Since when a client's silence counts (R-PT-3; ARCHITECTURE.md's "silence counts only while we could hear").

A host is deaf while no door is linked to it, while it cannot commit, and while its process stood still. It may not have
heard everybody when one of several doors lost its link or tries in vain to link: that door's clients are told to come
back, and do, but are not heard here. A session whose client was silent only because nobody could hear it must not end.
"""

from enum import Enum

from actors.clock import ServiceClock
from actors.domain.ids import Micros


class Deafness(Enum):
    NO_DOOR = "no door is linked"
    IN_DOUBT = "a commit's outcome is unknown"
    REFUSED = "the store refuses commits"
    WRITES_CLOSED = "writes are refused"


class Hearing:
    """Kept by the host's parts, asked before every decision about silence."""

    def __init__(self, clock: ServiceClock) -> None:
        self._clock = clock
        self._causes = {Deafness.NO_DOOR}
        self._since = clock.now()
        self._doors = 0

    @property
    def deaf(self) -> bool:
        return bool(self._causes)

    def since(self, now: Micros) -> Micros:
        """The moment since which beats could be acknowledged; ``now`` while they cannot."""
        return now if self._causes else self._since

    def door_linked(self) -> None:
        self._doors += 1
        self.regained(Deafness.NO_DOOR)

    def door_lost(self) -> None:
        self._doors -= 1
        self._since = self._clock.now()
        if not self._doors:
            self.lost(Deafness.NO_DOOR)

    def door_missed(self) -> None:
        self._since = self._clock.now()

    def lost(self, cause: Deafness) -> None:
        self._causes.add(cause)

    def regained(self, cause: Deafness) -> None:
        if cause in self._causes:
            self._causes.remove(cause)
            self._since = self._clock.now()

    def stood_still(self) -> None:
        """The process did not run for a while: beats may be waiting in its sockets."""
        self._since = self._clock.now()
