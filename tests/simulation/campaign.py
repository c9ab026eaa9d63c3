"""Many seeds on all cores, and what a failing one looks like when it has been shortened."""

import gc
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from tests.simulation.mutations import mutated
from tests.simulation.run import TROUBLE_S, Verdict, simulate

SEEDS_PER_JOB = 25
SEEDS_PER_LOOK = 12


def campaign(seeds: Iterable[int], on_progress: Callable[[int], None] = lambda _done: None) -> Iterator[Verdict]:
    """The verdicts of the seeds that failed, as they are found."""
    jobs = _slices(list(seeds), SEEDS_PER_JOB)
    done = 0
    with _pool() as pool:
        for job, failed in zip(jobs, pool.map(failures, jobs), strict=True):
            done += len(job)
            on_progress(done)
            yield from failed


def failures(seeds: Iterable[int]) -> list[Verdict]:
    return list(_failing(seeds))


def catches(mutations: Iterable[str], seeds: Sequence[int]) -> dict[str, int]:
    """For each mutation that the checker notices a seed that shows it: the first, or one of those right after it.

    A few seeds of each mutation in turn; those that were not noticed yet go on.
    """
    found: dict[str, int] = {}
    looks = deque((mutation, some) for some in _slices(seeds, SEEDS_PER_LOOK) for mutation in mutations)
    under_way: dict[Future[int | None], str] = {}
    with _pool() as pool:
        while looks or under_way:
            while looks and len(under_way) < 2 * _cores():
                mutation, some = looks.popleft()
                if mutation not in found:
                    under_way[pool.submit(first_caught, mutation, some)] = mutation
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for look in done:
                mutation, seed = under_way.pop(look), look.result()
                if seed is not None:
                    found[mutation] = min(seed, found.get(mutation, seed))
    return found


def first_caught(mutation: str, seeds: Iterable[int]) -> int | None:
    """The first seed at which the checker notices the mutation; None if it notices nothing."""
    with mutated(mutation):
        return next((verdict.seed for verdict in _failing(seeds)), None)


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


def _failing(seeds: Iterable[int]) -> Iterator[Verdict]:
    for seed in seeds:
        verdict = simulate(seed)
        gc.collect()
        if verdict.violations:
            yield verdict


def _slices(seeds: Sequence[int], size: int) -> list[Sequence[int]]:
    return [seeds[first : first + size] for first in range(0, len(seeds), size)]


def _cores() -> int:
    return os.cpu_count() or 1


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(_cores(), mp_context=multiprocessing.get_context("spawn"), initializer=_collect_by_hand)


def _collect_by_hand() -> None:
    """Garbage is collected after each seed, and what was imported is never looked at: a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.disable()
