"""Counting that the hot path can afford: plain integers, turned into Prometheus' shape only when somebody looks.

One thread counts (the loop's); a scrape may come from another and sees each figure whole, if not all of one moment.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of durations; the specification's limits (50, 100, 150 and 200 ms) lie on or between them."""


class PlainHistogram:
    """``observe`` costs a bisection and two additions."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as ``HistogramMetricFamily.add_metric`` wants them."""
        bounds = [*(str(bound) for bound in self._bounds), "+Inf"]
        return list(zip(bounds, accumulate(float(count) for count in self._counts), strict=True))
