"""What the benchmarks compute with: wrong arithmetic there would look like a good figure."""

import pytest

from actors.domain.ids import SHARD_COUNT, shard_of
from tests.benchmarks import cpu, figures
from tests.benchmarks.cpu import TICK_S, Ticks
from tests.benchmarks.crowd import make_users
from tests.benchmarks.failure import BenchmarkFailed
from tests.benchmarks.load import Load, read_result
from tests.benchmarks.recovery import choose_seeded
from tests.benchmarks.rounds import Measurement, Rounds


def measured(contender: str, round_number: int, *, cpu_s: float, requests: int = 1_000) -> Measurement:
    load = Load(requests=requests, seconds=1, p50_ms=1, p99_ms=2, max_ms=3, refused=0, broken=0, client_share=0.1)
    return Measurement(
        contender=contender,
        kind="heartbeat",
        connections=64,
        round=round_number,
        load=load,
        cpu_s={contender: cpu_s},
        counted={},
        others_share=0,
        stolen_share=0,
    )


def spent_ticks(before: dict[int, Ticks], after: dict[int, Ticks], labels: dict[int, str]) -> dict[str, float]:
    return {label: round(seconds / TICK_S) for label, seconds in cpu.spent_s(before, after, labels).items()}


def test_a_process_that_began_in_between_counts_whole() -> None:
    before = {1: Ticks(parent=0, ticks=100)}
    after = {1: Ticks(parent=0, ticks=110), 2: Ticks(parent=1, ticks=7)}
    assert spent_ticks(before, after, {1: "server", 2: "worker"}) == {"server": 10, "worker": 7}


def test_a_process_that_ended_in_between_leaves_its_time_to_its_parent_once() -> None:
    """It had 40 ticks, spent 5 more and ended: the parent's figure, which includes ended children, grew by 45."""
    before = {1: Ticks(parent=0, ticks=100), 2: Ticks(parent=1, ticks=40)}
    after = {1: Ticks(parent=0, ticks=145)}
    assert spent_ticks(before, after, {1: "server", 2: "worker"}) == {"server": 5}


def test_the_client_says_what_it_saw() -> None:
    load = read_result("Running\nRESULT 5000 2.000000 1500.0 9000.0 20000.0 3 1 0.500\nnoise", threads=2)
    assert (load.per_s, load.p50_ms, load.p99_ms, load.max_ms) == (2_500, 1.5, 9, 20)
    assert (load.refused, load.broken, load.client_share) == (3, 1, 0.125)


def test_a_client_that_failed_gives_no_figure() -> None:
    with pytest.raises(BenchmarkFailed, match="unable to connect"):
        read_result("unable to connect to 127.0.0.1", threads=1)


def test_the_seeded_users_live_in_every_shard() -> None:
    users = make_users(20_000)
    chosen = choose_seeded(users, 1_000)
    assert len(set(chosen)) == len(chosen) >= 1_000
    assert len({shard_of(users[number]) for number in chosen}) == SHARD_COUNT


def test_ratios_are_those_of_neighbours_in_time() -> None:
    """The machine became half as fast between the rounds: the ratio did not."""
    rounds = Rounds(client="none", threads=1, report=lambda _: None)
    rounds.measurements = [
        measured(figures.OURS, 0, cpu_s=0.1),
        measured(figures.GO, 0, cpu_s=0.2),
        measured(figures.OURS, 1, cpu_s=0.2),
        measured(figures.GO, 1, cpu_s=0.4),
    ]
    assert figures.ratios(rounds, figures.GO, "heartbeat", 64) == [2, 2]
    keys, spreads = figures.judged(rounds, start_connections=64)
    assert keys["heartbeat.c64.vs_go"] == 2
    assert keys["heartbeat.c64.vs_fastapi"] is None, "what was not measured has no figure"
    assert spreads == {"heartbeat.c64.vs_go": (2, 2)}


def test_a_summary_weighs_every_request_the_same() -> None:
    summary = figures.summarize(
        [measured(figures.OURS, 0, cpu_s=0.1, requests=1_000), measured(figures.OURS, 1, cpu_s=0.1, requests=3_000)]
    )
    assert summary.total_us == pytest.approx(50)
