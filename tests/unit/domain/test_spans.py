"""Sets of moments against the plainest model of them: a set of whole numbers (R-PT-6)."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from actors.domain.ids import Micros
from actors.domain.spans import DAY_US, Span, Spans, day_span, days_of, measure, minus, union, with_span, within

a_span = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda ends: (Micros(min(ends)), Micros(max(ends))))
some_spans = st.lists(a_span, max_size=12)


def moments(spans: list[Span] | Spans) -> set[int]:
    return {moment for begin, end in spans for moment in range(begin, end)}


def is_normal(spans: Spans) -> bool:
    return all(begin < end for begin, end in spans) and all(end < begin for (_, end), (begin, _) in pairwise(spans))


@given(some_spans)
def test_a_union_holds_every_moment_once(spans: list[Span]) -> None:
    merged = union(spans)
    assert is_normal(merged)
    assert moments(merged) == moments(spans)
    assert measure(merged) == len(moments(spans))


@given(some_spans, a_span)
def test_one_more_is_a_union_too(spans: list[Span], span: Span) -> None:
    begin, end = span
    more = (begin, Micros(end + 1))
    assert with_span(union(spans), more) == union([*spans, more])


@given(some_spans, a_span)
def test_within_and_minus_share_a_span_between_them(spans: list[Span], span: Span) -> None:
    taken = union(spans)
    inside, left = within(taken, span), minus(span, taken)
    assert is_normal(inside)
    assert is_normal(left)
    assert moments(inside) == moments(taken) & moments([span])
    assert moments(left) == moments([span]) - moments(taken)
    assert union([*inside, *left]) == union([span])


def test_a_span_touches_the_days_it_has_moments_of() -> None:
    noon = Micros(DAY_US * 10 + DAY_US // 2)
    assert list(days_of((noon, Micros(noon + 1)))) == [10]
    assert list(days_of((noon, Micros(11 * DAY_US)))) == [10]
    assert list(days_of((noon, Micros(11 * DAY_US + 1)))) == [10, 11]
    assert day_span(10) == (10 * DAY_US, 11 * DAY_US)
