"""Promises 1 to 6 over thousands of schedules of faults, and the proof that the checker notices a broken one.

Every schedule runs the engine's real code: hosts, links, router, batches, flushes, takeovers, moves, ingress and relay.
"""

import pytest

from tests.simulation.campaign import campaign, catches, described, shortened
from tests.simulation.mutations import MUTATIONS
from tests.simulation.run import simulate

SCHEDULES = 2_000


def test_no_promise_is_broken_in_any_schedule() -> None:
    """Promises 1 to 6, R-PT-2 to R-PT-4, R-PT-9, R-EVT-2, R-NFR-3"""
    failed = list(campaign(range(SCHEDULES)))
    assert not failed, "\n".join(described(shortened(verdict.seed)) for verdict in failed[:3])


def test_a_seed_gives_the_same_run_again() -> None:
    assert [simulate(seed) for seed in (11, 12)] == [simulate(seed) for seed in (11, 12)]


def test_schedules_are_not_empty() -> None:
    """Players are answered, and things do go wrong."""
    verdicts = [simulate(seed) for seed in range(20)]
    assert sum(verdict.sessions for verdict in verdicts) > 100
    assert sum(verdict.silences for verdict in verdicts) > 100
    assert all(verdict.trace for verdict in verdicts)


@pytest.fixture(scope="module")
def caught() -> dict[str, int]:
    return catches(MUTATIONS, range(SCHEDULES))


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_checker_notices_a_broken_rule(mutation: str, caught: dict[str, int]) -> None:
    """Each rule of the engine broken once: one of the schedules shows it."""
    assert mutation in caught
