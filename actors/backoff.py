"""Waiting longer after each failure, up to a cap, never in step with others."""

from collections.abc import Callable


class Backoff:
    """Doubling delays in seconds with jitter: each is between half and all of ``first_s``, twice that... ``cap_s``.

    ``random`` gives floats in [0, 1); it is passed in so that a simulation can repeat itself.
    """

    def __init__(self, *, first_s: float, cap_s: float, random: Callable[[], float]) -> None:
        if not 0 < first_s <= cap_s:
            raise ValueError("a backoff needs 0 < first_s <= cap_s")
        self._first_s = first_s
        self._cap_s = cap_s
        self._random = random
        self._next_s = first_s

    def next_s(self) -> float:
        full = self._next_s
        self._next_s = min(full * 2, self._cap_s)
        return full * (1 + self._random()) / 2

    def reset(self) -> None:
        """After a success the next failure waits ``first_s`` again."""
        self._next_s = self._first_s
