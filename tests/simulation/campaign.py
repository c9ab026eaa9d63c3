"""Many seeds on all cores, and what a failing one looks like when it has been shortened."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.mutations import mutated
from tests.simulation.run import TROUBLE_S, Verdict, simulate

SEEDS_PER_JOB = 25


def campaign(seeds: Iterable[int], on_progress: Callable[[int], None] = lambda _done: None) -> Iterator[Verdict]:
    """The verdicts of the seeds that failed, as they are found."""
    seeds = list(seeds)
    jobs = [seeds[first : first + SEEDS_PER_JOB] for first in range(0, len(seeds), SEEDS_PER_JOB)]
    done = 0
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        for job, failed in zip(jobs, pool.map(failures, jobs), strict=True):
            done += len(job)
            on_progress(done)
            yield from failed


def failures(seeds: list[int]) -> list[Verdict]:
    return [verdict for verdict in map(simulate, seeds) if verdict.violations]


def first_caught(mutation: str, seeds: Iterable[int]) -> int | None:
    """The first seed at which the checker notices the mutation; None if it notices nothing."""
    with mutated(mutation):
        return next((seed for seed in seeds if simulate(seed).violations), None)


def shortened(seed: int) -> Verdict:
    """The seed with as little trouble as still makes it fail."""
    steps = 12
    for step in range(1, steps):
        verdict = simulate(seed, trouble_s=TROUBLE_S * step / steps)
        if verdict.violations:
            return verdict
    return simulate(seed)


def described(verdict: Verdict) -> str:
    """A failure for people: what is wrong, and what was done until then."""
    lines = [f"seed {verdict.seed}: {len(verdict.violations)} violations"]
    lines += [f"  {violation}" for violation in verdict.violations[:10]]
    lines += ["  trace:", *(f"    {line}" for line in verdict.trace)]
    lines += [f"  again: make simulate SEEDS={verdict.seed}..{verdict.seed + 1}"]
    return "\n".join(lines)
