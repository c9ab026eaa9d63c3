"""`python -m tests.benchmarks recovery`: all hosts killed at once, with up to a million live sessions.

The first start is a takeover too: it loads every session and replays a journal that was never flushed. Then all hosts
are killed, several times; then heartbeats come for a while, to see what a host with so many sessions costs at rest.
"""

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from actors.domain.ids import SessionId
from actors.telemetry import names
from cluster.settings.sections import Cluster
from tests.benchmarks import cpu
from tests.benchmarks.command import carry_out
from tests.benchmarks.crowd import Crowd, write_heartbeats
from tests.benchmarks.options import ROOT
from tests.benchmarks.recovery import Recovery, Seeded, choose_seeded, recover
from tests.benchmarks.survival.loading import OpenLoop
from tests.benchmarks.survival.outcomes import read_record, summary
from tests.benchmarks.survival.seeding import session_of
from tests.benchmarks.survival.stage import Stage, machine_load, set_up

MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class RecoveryOptions:
    sessions: int = 100_000
    hosts: int = 0
    kills: int = 3
    seeded_users: int = 1_000
    journal_rows: int = 0
    steady_s: int = 0
    rate: int = 2_000
    active: int = 50_000
    output: Path = ROOT / "build" / "bench"


def read_options(arguments: list[str]) -> RecoveryOptions:
    default = RecoveryOptions()
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks recovery",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="A million sessions take about 6 minutes and 4 GiB. The last line of the output is JSON; the same is "
        "written to recovery.json in the output directory.",
    )
    add = parser.add_argument
    add("--sessions", type=int, default=default.sessions, help=f"live sessions ({default.sessions:,})")
    add("--hosts", type=int, default=default.hosts, help="0: as the service itself chooses, half the cores")
    add("--kills", type=int, default=default.kills, help=f"how many times all hosts are killed ({default.kills})")
    add("--seeded-users", type=int, default=default.seeded_users, help="users that must be answered each time (1000)")
    add("--journal-rows", type=int, default=default.journal_rows, help="journal rows for the first start to replay (0)")
    add("--steady-s", type=int, default=default.steady_s, help="at the end, so many seconds of heartbeats (0)")
    add("--rate", type=int, default=default.rate, help=f"heartbeats a second then, open loop ({default.rate:,})")
    add("--active", type=int, default=default.active, help=f"users who beat then ({default.active:,})")
    add("--output", type=Path, default=default.output, help="directory for recovery.json (build/bench)")
    return RecoveryOptions(**vars(parser.parse_args(arguments)))


def main(arguments: list[str]) -> int:
    options = read_options(arguments)

    def finish(results: dict[str, Any], _: Console) -> None:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "recovery.json").write_text(json.dumps(results, indent=2) + "\n")
        sys.stdout.write(json.dumps(results) + "\n")

    return carry_out(lambda ending, say: _run(options, ending, say), finish)


def _run(options: RecoveryOptions, ending: ExitStack, say: Any) -> dict[str, Any]:
    hosts = options.hosts or Cluster().hosts
    stage = set_up(ending, say, sessions=options.sessions, hosts=hosts, journal_rows=options.journal_rows)
    first = stage.service.slowest(names.HOST_RECOVERY_SECONDS, "phase")
    say(f"first start: {_phases(first)}")
    seeded = _seeded(stage, options.seeded_users)
    recoveries = []
    for number in range(options.kills):
        say(f"killing all hosts ({number + 1} of {options.kills}); {machine_load()}")
        one = recover(stage.service, seeded)
        recoveries.append(one)
        say(_words(one, options.sessions))
    results = _results(options, hosts, first, recoveries)
    if options.steady_s:
        results |= _steady(stage, options, say)
    return results


def _seeded(stage: Stage, count: int) -> Seeded:
    numbers = choose_seeded(stage.users, count)
    tokens = stage.key.sign_for([stage.users[number] for number in numbers])
    return [(token, session_of(number)) for token, number in zip(tokens, numbers, strict=True)]


def _steady(stage: Stage, options: RecoveryOptions, say: Any) -> dict[str, Any]:
    """What heartbeats cost a host that has so many sessions in memory, and what they do to its memory."""
    step = max(1, options.sessions // options.active)
    numbers = list(range(0, options.sessions, step))[: options.active]
    say(f"signing {len(numbers):,} tokens")
    users = [stage.users[number] for number in numbers]
    sessions: list[SessionId] = [session_of(number) for number in numbers]
    requests = stage.directory / "heartbeats"
    write_heartbeats(requests, Crowd(users=users, tokens=stage.key.sign_for(users)), sessions)
    record = stage.directory / "steady.record"
    say(f"{options.rate:,} heartbeats a second for {options.steady_s} s; {machine_load()}")
    pids = stage.service.host_pids()
    bytes_before, cpu_before = sum(map(cpu.resident_bytes, pids)), cpu.read(pids)
    with OpenLoop(requests, stage.service.running.port, record, rate=options.rate, seconds=options.steady_s) as load:
        load.wait()
    bytes_after = sum(map(cpu.resident_bytes, pids))
    host_s = sum(cpu.spent_s(cpu_before, cpu.read(pids), dict.fromkeys(pids, "host")).values())
    found = summary(read_record(record))
    say(f"{found}; hosts {host_s / options.steady_s:.0%} of a core, RSS {(bytes_after - bytes_before) / MIB:+.0f} MiB")
    return {
        "steady": {
            **found,
            "rate": options.rate,
            "host_cpu_share": round(host_s / options.steady_s, 3),
            "rss_growth_mib": round((bytes_after - bytes_before) / MIB, 1),
        }
    }


def _results(
    options: RecoveryOptions, hosts: int, first: dict[str, float], recoveries: list[Recovery]
) -> dict[str, Any]:
    last = min(recoveries, key=lambda one: one.seconds)
    return {
        "sessions": options.sessions,
        "hosts": hosts,
        "recovery.s": round(median(one.seconds for one in recoveries), 2),
        "recovery.all_s": [round(one.seconds, 2) for one in recoveries],
        "answered.all_s": [round(one.answered_s, 2) for one in recoveries],
        "phases_s": {name: round(seconds, 2) for name, seconds in last.phases.items()},
        "process_started.s": round(last.started_s, 2),
        "host_cpu.s": round(last.host_cpu_s, 2),
        "first_start_s": {name: round(seconds, 2) for name, seconds in first.items()},
        "first_start_journal_rows": options.journal_rows,
        "host_mib_before": round(last.former_bytes / MIB),
        "host_mib_after": round(last.host_bytes / MIB),
        "machine": machine_load(),
    }


def _words(one: Recovery, sessions: int) -> str:
    return (
        f"served again after [bold]{one.seconds:.1f} s[/] "
        f"(answered {one.answered_s:.1f}, counted {one.counted_s:.1f}): "
        f"new processes began after {one.started_s:.1f} s, then {_phases(one.phases)}; CPU of the hosts "
        f"{one.host_cpu_s:.1f} s, their RSS "
        f"{one.former_bytes / MIB:,.0f} MiB before, {one.host_bytes / MIB:,.0f} after "
        f"({one.host_bytes / sessions:,.0f} bytes a session, everything)"
    )


def _phases(phases: Any) -> str:
    return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in phases.items())
