"""Stops calling a service that does not answer, and finds out with one call at a time whether it is back.

    closed ── failures in a row ──▶ open ── pause over, one probe ──▶ half-open ── it succeeds ──▶ closed
                                     ▲                                   │
                                     └────────── it fails, longer pause ─┘

The libraries that exist for asyncio read the wall clock themselves and let any number of probes through at once.
"""

from collections.abc import Callable

from actors.backoff import Backoff


class Breaker:
    """``admit`` before each attempt, then exactly one of ``succeeded``, ``failed`` and ``abandoned``.

    ``now`` is monotonic, in seconds.
    """

    def __init__(self, *, failures: int, pause: Backoff, now: Callable[[], float]) -> None:
        self._allowed = failures
        self._pause = pause
        self._now = now
        self._in_a_row = 0
        self._open_until: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether the service is taken to be away."""
        return self._open_until is not None

    def retry_after_s(self) -> float:
        """How long no attempt will be admitted, at least."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._now())

    def admit(self) -> bool:
        if self._open_until is None:
            return True
        if self._probing or self._now() < self._open_until:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The service answered, be it with a refusal."""
        self._in_a_row = 0
        self._open_until = None
        self._probing = False
        self._pause.reset()

    def failed(self) -> None:
        self._in_a_row += 1
        was_probe, self._probing = self._probing, False
        if was_probe or (self._open_until is None and self._in_a_row >= self._allowed):
            self._open_until = self._now() + self._pause.next_s()

    def abandoned(self) -> None:
        """The caller went away before there was an outcome: nothing is known, the next one probes."""
        self._probing = False
