"""Sets of moments: what offline play is merged by (R-PT-6).

A span is half open, [from, to). ``Spans`` are sorted and neither overlap nor touch: equal sets are equal values.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from operator import itemgetter

from actors.domain.ids import SECOND, Micros

Span = tuple[Micros, Micros]
Spans = tuple[Span, ...]

_begin = itemgetter(0)
_end = itemgetter(1)

DAY_US = 86_400 * SECOND
"""A UTC day; days are numbered from 1970-01-01."""


def union(spans: Iterable[Span]) -> Spans:
    """Every moment that is in one of them. Empty spans add nothing."""
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if begin >= end:
            continue
        if merged and begin <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((begin, end))
    return tuple(merged)


def with_span(spans: Spans, span: Span) -> Spans:
    """The union with one more, which is not empty. Costs a search and a copy."""
    begin, end = span
    first = bisect_left(spans, begin, key=_end)
    last = bisect_right(spans, end, lo=first, key=_begin)
    if first < last:
        begin, end = min(begin, spans[first][0]), max(end, spans[last - 1][1])
    return (*spans[:first], (begin, end), *spans[last:])


def within(spans: Spans, span: Span) -> Spans:
    """What of them lies in ``span``. Costs what is found, not what there is."""
    begin, end = span
    if begin >= end:
        return ()
    first = bisect_right(spans, begin, key=_end)
    last = bisect_left(spans, end, lo=first, key=_begin)
    return tuple((max(lo, begin), min(hi, end)) for lo, hi in spans[first:last])


def minus(span: Span, taken: Spans) -> Spans:
    """What of ``span`` lies in none of ``taken``."""
    left: list[Span] = []
    begin, end = span
    for lo, hi in within(taken, span):
        if begin < lo:
            left.append((begin, lo))
        begin = hi
    if begin < end:
        left.append((begin, end))
    return tuple(left)


def measure(spans: Spans) -> int:
    """Microseconds."""
    return sum(hi - lo for lo, hi in spans)


def days_of(span: Span) -> range:
    """The UTC days that a span touches."""
    begin, end = span
    return range(begin // DAY_US, (end - 1) // DAY_US + 1)


def day_span(day: int) -> Span:
    return Micros(day * DAY_US), Micros((day + 1) * DAY_US)
