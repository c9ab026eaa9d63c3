"""The breaker's states, on a clock of the test's own."""

from actors.backoff import Backoff
from persistence.services.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def made(clock: Clock) -> Breaker:
    return Breaker(failures=3, pause=Backoff(first_s=1.0, cap_s=4.0, random=lambda: 1.0), now=clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        assert breaker.admit()
        breaker.failed()


def test_it_opens_after_failures_in_a_row_and_not_before() -> None:
    breaker = made(Clock())
    fail(breaker, 2)
    assert breaker.admit()
    breaker.succeeded()
    fail(breaker, 2)
    assert not breaker.is_open
    fail(breaker, 1)
    assert breaker.is_open
    assert not breaker.admit()
    assert breaker.retry_after_s() == 1.0


def test_one_probe_at_a_time_finds_out_whether_it_is_back() -> None:
    clock = Clock()
    breaker = made(clock)
    fail(breaker, 3)
    clock.now += 1.0
    assert breaker.admit()
    assert not breaker.admit()
    breaker.succeeded()
    assert not breaker.is_open
    assert breaker.admit()


def test_a_probe_that_fails_makes_the_pause_longer_up_to_a_cap() -> None:
    clock = Clock()
    breaker = made(clock)
    fail(breaker, 3)
    for pause_s in (1.0, 2.0, 4.0, 4.0):
        assert breaker.retry_after_s() == pause_s
        clock.now += pause_s
        fail(breaker, 1)


def test_a_probe_without_an_outcome_leaves_the_next_one_to_find_out() -> None:
    """Its caller was cancelled."""
    clock = Clock()
    breaker = made(clock)
    fail(breaker, 3)
    clock.now += 1.0
    assert breaker.admit()
    breaker.abandoned()
    assert breaker.is_open
    assert breaker.admit()


def test_attempts_that_were_admitted_before_it_opened_do_not_lengthen_the_pause() -> None:
    """A hundred calls that fail together count as one discovery."""
    clock = Clock()
    breaker = made(clock)
    for _ in range(100):
        assert breaker.admit()
    for _ in range(100):
        breaker.failed()
    assert breaker.retry_after_s() == 1.0
