"""Every call of every client while it is on its way, and every answer it got: for the history file, and to tell how
long callers had to wait while something was broken."""

import asyncio
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

SLOW_S = 2.0
"""An answer that comes later than this was waited for. Real time, on a machine that does other work too."""


PULSE_S = 0.25
UNFIT_LAG_S = 1.0
"""A client that is this late has not said what it meant to say in time."""


class Answered(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt, a line of the history file. ``at`` is seconds since the run began; ``met`` a status or a problem."""

    at: float
    who: str
    call: str
    target: str
    met: str
    took_s: float
    attempt: int
    said: str = ""


EVENTS_IN = frozenset({"purchase", "gift", "key", "refund", "shown"})
"""Calls whose answer comes by way of Kafka; all others are HTTP or gRPC."""


class Call:
    """One thing a client wants, over all its attempts."""

    __slots__ = ("attempt", "began", "kind", "target", "who")

    def __init__(self, who: str, kind: str, target: str, began: float) -> None:
        self.who = who
        self.kind = kind
        self.target = target
        self.began = began
        self.attempt = 0


class Met:
    """What callers met since a moment. Of HTTP and gRPC calls alone: ``longest_s`` of one that was answered,
    ``last_slow_at`` when the latest one was that had to wait. ``without_retry_after``: 503s that did not say when to
    come back."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.counts: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.without_retry_after = 0
        self.longest_s = 0.0
        self.last_slow_at: float | None = None


class Calls:
    """Used on one loop. Also a context manager around the history file."""

    def __init__(self, history_file: Path) -> None:
        self.history_file = history_file
        self._file = history_file.open("wb", buffering=1 << 16)
        self._encode = msgspec.json.Encoder().encode
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._waiting: dict[bool, dict[Call, None]] = {False: {}, True: {}}
        self.unfit_at = float("-inf")
        self.total = Met(self._began)
        self.met = Met(self._began)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def now(self) -> float:
        """Seconds since the run began."""
        return self._loop.time() - self._began

    async def watch_fitness(self) -> None:
        """Notes in ``unfit_at`` (loop time) when this very process was too busy to be a fair witness. Never ends."""
        while True:
            due = self._loop.time() + PULSE_S
            await asyncio.sleep(PULSE_S)
            if self._loop.time() - due > UNFIT_LAG_S:
                self.unfit_at = self._loop.time()

    def note(self, text: str) -> None:
        """A line of the history that is no answer: what was done to the service."""
        self._write(Answered(round(self.now(), 3), "chaos", "", "", text, 0.0, 0))

    def begin(self, who: str, kind: str, target: str) -> Call:
        call = Call(who, kind, target, self._loop.time())
        self._waiting[kind in EVENTS_IN][call] = None
        return call

    def attempted(self, call: Call, met: str, *, took_s: float, retry_after: bool = True) -> None:
        """An attempt that did not bring the answer; there will be another."""
        for since in (self.total, self.met):
            since.counts[met] += 1
            since.without_retry_after += met == "503" and not retry_after
        self._write(self._line(call, met, took_s, ""))
        call.attempt += 1

    def answered(self, call: Call, met: str, *, took_s: float, said: str = "") -> None:
        now = self._loop.time()
        waited_s = now - call.began
        for since in (self.total, self.met):
            since.answered[call.kind] += 1
            if call.kind in EVENTS_IN:
                continue
            since.longest_s = max(since.longest_s, waited_s)
            if waited_s > SLOW_S:
                since.last_slow_at = now
        self._write(self._line(call, met, took_s, said))
        self.end(call)

    def end(self, call: Call) -> None:
        """Answered or given up; may be repeated."""
        self._waiting[call.kind in EVENTS_IN].pop(call, None)

    def mark(self) -> Met:
        """Counts anew from here."""
        self.met = Met(self._loop.time())
        return self.met

    def longest_wait_s(self, *, events: bool = False) -> float:
        """Of those that still wait for an answer, or for an event."""
        oldest = next(iter(self._waiting[events]), None)
        return 0.0 if oldest is None else self._loop.time() - oldest.began

    def _line(self, call: Call, met: str, took_s: float, said: str) -> Answered:
        return Answered(
            round(self.now(), 3), call.who, call.kind, call.target, met, round(took_s, 4), call.attempt + 1, said
        )

    def _write(self, line: Answered) -> None:
        self._file.write(self._encode(line) + b"\n")

    def flush(self) -> None:
        self._file.flush()
