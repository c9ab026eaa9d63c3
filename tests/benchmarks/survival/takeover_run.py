"""`python -m tests.benchmarks takeover`: one host after another killed under a steady open-loop load.

Heartbeats leave at fixed instants, so many a second, of users spread over all hosts, each with a token of their own. In
the middle one host is killed (`kill -9`), comes back, and after a while the next one is. Reported apart: users of the
other hosts and users of the killed one, while it is away and at all other times of the same run.
"""

import argparse
import json
import os
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actors.domain.ids import HostId
from tests.benchmarks import cpu
from tests.benchmarks.command import carry_out
from tests.benchmarks.crowd import Crowd, write_heartbeats
from tests.benchmarks.failure import BenchmarkFailed
from tests.benchmarks.options import ROOT
from tests.benchmarks.survival.loading import OpenLoop
from tests.benchmarks.survival.outages import Kill, judge
from tests.benchmarks.survival.outcomes import Record, read_record
from tests.benchmarks.survival.plot import AIM_MS, plot
from tests.benchmarks.survival.seeding import hosts_of, session_of
from tests.benchmarks.survival.stage import Stage, machine_load, set_up

QUIET_S = 15.0
"""Before the first kill, and after the last one's time."""


@dataclass(frozen=True, kw_only=True)
class TakeoverOptions:
    users: int = 20_000
    hosts: int = 4
    rate: int = 1_000
    kills: int = 12
    every_s: int = 10
    output: Path = ROOT / "build" / "bench"


def read_options(arguments: list[str]) -> TakeoverOptions:
    default = TakeoverOptions()
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks takeover",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Takes about 4 minutes, and says nothing on a machine that does much else: see machine_bears_the_load. "
        "The last line of the output is JSON; the same is written to takeover.json, and the latencies over time to "
        "takeover.png, in the output directory. Latencies are from the instant a request "
        "was meant to leave; client_late_p99_ms says how much of them is the client itself.",
    )
    add = parser.add_argument
    add("--users", type=int, default=default.users, help=f"users who beat in turn ({default.users:,})")
    add("--hosts", type=int, default=default.hosts, help=f"engine hosts ({default.hosts})")
    add("--rate", type=int, default=default.rate, help=f"heartbeats a second ({default.rate:,})")
    add(
        "--kills",
        type=int,
        default=default.kills,
        help=f"how many hosts are killed, one after another ({default.kills})",
    )
    add("--every-s", type=int, default=default.every_s, help=f"from one kill to the next ({default.every_s})")
    add("--output", type=Path, default=default.output, help="directory for the results (build/bench)")
    return TakeoverOptions(**vars(parser.parse_args(arguments)))


def main(arguments: list[str]) -> int:
    options = read_options(arguments)
    return carry_out(
        lambda ending, say: _run(options, ending, say), lambda results, _: sys.stdout.write(json.dumps(results) + "\n")
    )


def _run(options: TakeoverOptions, ending: ExitStack, say: Any) -> dict[str, Any]:
    stage = set_up(ending, say, sessions=options.users, hosts=options.hosts)
    say(f"signing {options.users:,} tokens")
    requests = stage.directory / "heartbeats"
    crowd = Crowd(users=stage.users, tokens=stage.key.sign_for(stage.users))
    write_heartbeats(requests, crowd, [session_of(number) for number in range(options.users)])
    say("every token once, so that doors know it")
    _load(stage, requests, options, seconds=options.users / options.rate)
    say(f"{options.rate:,} heartbeats a second; {machine_load()}")
    record, kills, began_at, machine = _killing(stage, requests, options, say)
    homes = hosts_of(stage.users, options.hosts)
    found = judge(record, homes, kills, rate=options.rate)
    for name, figures in found.items():
        say(f"[bold]{name}[/]: {figures}")
    bears = found["nobody_away"]["p99_ms"] < AIM_MS
    if not bears:
        say("[bold red]no figure:[/] with every host there the machine, or the client, was slower than the aim already")
    results = {
        **found,
        "machine_bears_the_load": bears,
        "p99_ms.others_while_taken_over": found["others_while_away"]["p99_ms"],
        "kills": len(kills),
        "rate": options.rate,
        "hosts": options.hosts,
        **machine,
    }
    options.output.mkdir(parents=True, exist_ok=True)
    detail = {**results, "each_kill": [asdict(kill) for kill in kills], "began_at": began_at}
    (options.output / "takeover.json").write_text(json.dumps(detail, indent=2) + "\n")
    plot(options.output / "takeover.png", record, homes, kills, rate=options.rate)
    say(f"written to {options.output}")
    return results


def _load(stage: Stage, requests: Path, options: TakeoverOptions, *, seconds: float) -> None:
    record = stage.directory / "warm-up.record"
    with OpenLoop(requests, stage.service.running.port, record, rate=options.rate, seconds=seconds) as load:
        load.wait()


def _killing(
    stage: Stage, requests: Path, options: TakeoverOptions, say: Any
) -> tuple[Record, list[Kill], float, dict[str, Any]]:
    path = stage.directory / "takeover.record"
    seconds = 2 * QUIET_S + options.kills * options.every_s
    kills = []
    labels = stage.service.processes()
    with OpenLoop(requests, stage.service.running.port, path, rate=options.rate, seconds=seconds) as load:
        _sleep_until(load.starts_at)
        before, busy_before, began = cpu.read(labels), cpu.machine_s()[0], time.monotonic()
        for number in range(options.kills):
            _sleep_until(load.starts_at + QUIET_S + number * options.every_s)
            host_id = HostId(number % options.hosts)
            _kill(stage, host_id)
            kills.append(Kill(host_id=host_id, at_s=time.monotonic() - load.starts_at))
            say(f"killed host {host_id}; {machine_load()}")
        client = cpu.read([load.pid])
        ours_s = sum(cpu.spent_s(before, cpu.read(labels), labels).values())
        client_s = sum(cpu.spent_s({}, client, {load.pid: "client"}).values())
        cores_s = (time.monotonic() - began) * (os.cpu_count() or 1)
        others = max(0.0, cpu.machine_s()[0] - busy_before - ours_s - client_s) / cores_s
        load.wait()
    machine = {"others_share": round(others, 2), "machine": machine_load()}
    say(f"other work took {others:.0%} of the machine (about: new hosts count as such until they are found)")
    return read_record(path), kills, load.starts_at, machine


def _kill(stage: Stage, host_id: HostId) -> None:
    """``kill -9``; ``BenchmarkFailed`` when the host is not there: the time between two kills is too short."""
    pids = stage.service.running.pids(f"host-{host_id}")
    if len(pids) != 1:
        raise BenchmarkFailed(f"host {host_id} has {len(pids)} processes; give it more time with --every-s")
    os.kill(pids[0], signal.SIGKILL)


def _sleep_until(at: float) -> None:
    time.sleep(max(0.0, at - time.monotonic()))
