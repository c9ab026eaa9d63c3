"""Service time: Postgres' clock at the takeover plus monotonic time, accelerated in development.

No wall clock is read. The loop's monotonic clock is the only source between two readings of Postgres' clock, and each
commit brings such a reading; the clock is led towards it slowly, so it never jumps and never runs backwards.
"""

import asyncio
from collections.abc import Callable

from actors.domain.ids import SECOND, Micros
from actors.ports import ClockOrigin

SLEW = 0.001
"""At most this share of the elapsed time is corrected: a millisecond a second."""


class ServiceClock:
    """Real and service time in microseconds. ``monotonic`` gives seconds; a test may inject its own."""

    def __init__(self, origin: ClockOrigin, real_now: Micros, monotonic: Callable[[], float] | None = None) -> None:
        self._monotonic = monotonic or asyncio.get_running_loop().time
        self._origin = origin
        self._read_at = self._monotonic()
        self._real_at_reading = float(real_now)

    def real_now(self) -> Micros:
        """Unaccelerated time, as Postgres tells it."""
        return Micros(int(self._real_at_reading + (self._monotonic() - self._read_at) * SECOND))

    def now(self) -> Micros:
        """Service time."""
        return self.at(self.real_now())

    def at(self, real: Micros) -> Micros:
        """The service time of a moment of real time."""
        return Micros(self._origin.service_at + int((real - self._origin.real_at) * self._origin.rate))

    def seconds_until(self, service_time: Micros) -> float:
        """Real seconds to wait for a moment of service time; negative when it is past."""
        return (service_time - self.now()) / self._origin.rate / SECOND

    def service_seconds(self, real_s: float) -> float:
        """How long a stretch of real time is in service time."""
        return real_s * self._origin.rate

    def correct(self, real_now: Micros) -> None:
        """A reading of Postgres' clock: leads ours towards it."""
        elapsed = self._monotonic() - self._read_at
        ours = self._real_at_reading + elapsed * SECOND
        step = SLEW * elapsed * SECOND
        self._real_at_reading = ours + min(max(real_now - ours, -step), step)
        self._read_at += elapsed
