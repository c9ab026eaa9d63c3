"""How long and how large a run is. The defaults are the ones whose figures are quoted."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Options:
    """``compared`` numbers of connections are measured ``rounds`` times, those that are only ``plotted`` once."""

    users: int = 100_000
    compared: tuple[int, ...] = (64, 256)
    plotted: tuple[int, ...] = (1, 16)
    rounds: int = 3
    run_s: int = 5
    start_rounds: int = 2
    seeded_users: int = 1_000
    hosts: int = 0
    doors: int = 0
    workers: int = 1
    keep_s: int = 0
    ours_only: bool = False
    output: Path = ROOT / "build" / "bench"

    @property
    def client_threads(self) -> int:
        return max(1, (os.cpu_count() or 1) // 2)


def read_options(arguments: list[str]) -> Options:
    default = Options()
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--users", type=int, default=default.users, help="live sessions, each of another user")
    parser.add_argument("--rounds", type=int, default=default.rounds)
    parser.add_argument("--run-s", type=int, default=default.run_s, help="seconds of one measurement")
    parser.add_argument("--hosts", type=int, default=default.hosts, help="0: as the service itself chooses")
    parser.add_argument("--doors", type=int, default=default.doors, help="0: as the service itself chooses")
    parser.add_argument("--workers", type=int, default=default.workers, help="of the FastAPI peer")
    parser.add_argument("--ours-only", action="store_true", help="leave the peers out, for work on our own cost")
    parser.add_argument(
        "--keep-s", type=int, default=0, help="at the end, go on loading ours for so long: to profile it"
    )
    parser.add_argument("--output", type=Path, default=default.output)
    return Options(**vars(parser.parse_args(arguments)))
