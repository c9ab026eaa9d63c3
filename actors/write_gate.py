"""Whether writes may be decided: closed while their rows could not leave again (promise 6).

Reads go on. A closed gate counts as deafness: a client whose beat is refused must not lose its session for it.
"""

from actors.domain.replies import Overloaded, Unavailable
from actors.hearing import Deafness, Hearing


class WriteGate:
    """Reasons come and go independently; the first one standing is what callers are told."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing
        self._reasons: dict[str, Overloaded | Unavailable] = {}

    @property
    def refusal(self) -> Overloaded | Unavailable | None:
        """What a write is answered now; None while the gate is open."""
        for reason in self._reasons.values():
            return reason
        return None

    def set(self, name: str, refusal: Overloaded | Unavailable | None) -> None:
        """Closes the gate for a named reason, or takes that reason away."""
        if refusal is None:
            self._reasons.pop(name, None)
        else:
            self._reasons[name] = refusal
        if self._reasons:
            self._hearing.lost(Deafness.WRITES_CLOSED)
        else:
            self._hearing.regained(Deafness.WRITES_CLOSED)
