"""`make bench`: the whole run. The last line of its output is JSON with the figures that are aimed at."""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from actors.domain.ids import SessionId
from cluster.dev.guard import destroy_with_this_process
from cluster.dev.stack import DevStack
from cluster.settings.sections import Cluster, Server
from tests.benchmarks import cpu, figures
from tests.benchmarks.contender import Contender
from tests.benchmarks.crowd import Crowd, SigningKey, make_users, write_heartbeats, write_starts
from tests.benchmarks.failure import BenchmarkFailed
from tests.benchmarks.figures import Results
from tests.benchmarks.filling import fill
from tests.benchmarks.load import apply_load, find_client
from tests.benchmarks.options import Options, read_options
from tests.benchmarks.ours import BEATS, OurService
from tests.benchmarks.peers.servers import build_go, fastapi_peer, go_peer
from tests.benchmarks.peers.tables import create_tables
from tests.benchmarks.recovery import Recovery, choose_seeded, recover
from tests.benchmarks.report import markdown, write_report
from tests.benchmarks.rounds import Measurement, Rounds
from tests.benchmarks.rpc import run as rpc_run
from tests.benchmarks.shelves import run as shelves_run
from tests.benchmarks.survival import recovery_run, takeover_run

START_CONNECTIONS = 64
TOPIC = "bench.events.v1"
JOURNALED_AT_LEAST = 0.999


class Run:
    """One run: what it has made so far, and what ends with it (``ending``)."""

    def __init__(self, options: Options, console: Console, ending: ExitStack) -> None:
        self.options = options
        self.console = console
        self.ending = ending
        self.began = time.monotonic()
        self.directory = _directory(ending)
        self.client = find_client()
        self.rounds = Rounds(client=self.client, threads=options.client_threads, report=self._show)
        self.heartbeats = self.directory / "heartbeats"
        self.starts = self.directory / "starts"

    def say(self, what: str) -> None:
        self.console.print(f"[dim]{time.monotonic() - self.began:4.0f} s[/]  {what}")

    def prepare(self) -> tuple[OurService, Crowd, "Future[Path | None]"]:
        """Our service running and empty, tokens signed, the Go peer being compiled."""
        options = self.options
        self.say(f"starting the service; signing {options.users:,} tokens")
        key = SigningKey()
        key.write_jwks(self.directory / "jwks.json")
        users = make_users(options.users)
        pool = ThreadPoolExecutor(max_workers=2)
        self.ending.callback(pool.shutdown)
        program: Future[Path | None] = pool.submit(lambda: None if options.ours_only else build_go(self.directory))
        tokens = pool.submit(key.sign_for, users)
        service_directory = self.directory / "service"
        service_directory.mkdir(mode=0o755)
        ours = OurService(service_directory, self.directory / "jwks.json", options)
        self.ending.callback(ours.running.destroy)
        self.ending.callback(_stop, ours)
        ours.running.start()
        crowd = Crowd(users=users, tokens=tokens.result())
        write_starts(self.starts, crowd)
        program.result()
        return ours, crowd, program

    def play_in(self, ours: OurService, crowd: Crowd) -> tuple[list[SessionId], int, float]:
        """The live sessions, the RSS of all hosts before, and its growth a session."""
        before = sum(map(cpu.resident_bytes, ours.host_pids()))
        self.say(f"{len(crowd.users):,} users buy their games and start to play")
        step = max(1, len(crowd.users) // 5)

        def progress(done: int) -> None:
            if done % step == 0:
                self.say(f"  {done:,} play")

        sessions = asyncio.run(fill(ours.settings(), crowd, progress))
        ours.wait_until_flushed(len(sessions))
        write_heartbeats(self.heartbeats, crowd, sessions)
        after = sum(map(cpu.resident_bytes, ours.host_pids()))
        return sessions, before, (after - before) / len(sessions)

    def start_peers(
        self, ours: OurService, crowd: Crowd, sessions: Sequence[SessionId], go: Path | None
    ) -> list[Contender]:
        directory = self.directory / "peers"
        directory.mkdir(mode=0o755)
        self.ending.callback(destroy_with_this_process(directory).communicate, timeout=120)
        stack = DevStack(directory)
        self.ending.callback(stack.destroy)
        self.say("starting the peers, their tables filled with the same users and sessions")
        stack.up(["postgres"])
        asyncio.run(create_tables(stack.postgres.dsn(), crowd, sessions))
        environment = {
            "PEER_DSN": stack.postgres.dsn(),
            "PEER_JWKS_FILE": str(self.directory / "jwks.json"),
            "PEER_KAFKA": ours.stack.environment()["KAFKA_BROKERS"],
            "PEER_TOPIC": TOPIC,
        }
        enter = self.ending.enter_context
        peers: list[Contender] = [
            enter(fastapi_peer(stack, environment, self.options.workers, directory / "fastapi.out"))
        ]
        if go is None:
            self.say("no Go here: the peer in Go is left out")
        else:
            peers.append(enter(go_peer(stack, environment, go, directory / "go.out")))
        return peers

    def compare(self, ours: OurService, peers: Sequence[Contender]) -> None:
        """All rounds of heartbeats, then of starts."""
        options, rounds = self.options, self.rounds
        contenders: list[Contender] = [ours, *peers]
        for contender in contenders:
            self.say(f"warming up {contender.name}")
            rounds.warm_up(contender, self.heartbeats, options.users)
        for connections in options.compared:
            rounds.compare(
                contenders,
                self.heartbeats,
                kind="heartbeat",
                connections=connections,
                seconds=options.run_s,
                rounds=options.rounds,
            )
        for connections in options.plotted:
            rounds.compare(
                contenders, self.heartbeats, kind="heartbeat", connections=connections, seconds=options.run_s, rounds=1
            )
        self._check_journaled()
        rounds.compare(
            contenders[:2],
            self.starts,
            kind="start",
            connections=START_CONNECTIONS,
            seconds=options.run_s,
            rounds=options.start_rounds,
        )
        starts = sum(one.load.requests for one in rounds.of(ours.name, "start", START_CONNECTIONS))
        if starts > options.users:
            raise BenchmarkFailed("there are too few users for so many starts: less seconds, or more users")

    def keep_loading(self, ours: OurService) -> None:
        """For a profiler to be attached."""
        if not self.options.keep_s:
            return
        pids = {pid: label for pid, label in ours.processes().items() if label in ("door", "host")}
        for connections in self.options.compared:
            self.say(f"loading for {self.options.keep_s} s at {connections} connections: {pids}")
            apply_load(
                self.client, ours.url, self.heartbeats, connections=connections, seconds=self.options.keep_s,
                threads=self.options.client_threads,
            )  # fmt: skip

    def _check_journaled(self) -> None:
        """A beat that comes too early costs no commit: figures with such would be too good."""
        beats = [one for one in self.rounds.measurements if one.contender == figures.OURS]
        journaled = sum(one.counted[BEATS] for one in beats) / sum(one.load.requests for one in beats)
        if journaled < JOURNALED_AT_LEAST:
            raise BenchmarkFailed(f"only {journaled:.1%} of the acknowledged heartbeats were journaled")

    def _show(self, one: Measurement) -> None:
        parts = sorted(one.cpu_s.items(), key=lambda part: -part[1])[:6]
        split = ", ".join(f"{label} {spent / one.load.requests * 1e6:.1f}" for label, spent in parts)
        self.say(
            f"{one.kind} {one.connections:3} {one.contender:8} {one.load.per_s:8,.0f}/s  {one.total_us:6.1f} µs "
            f"({split})  P50 {one.load.p50_ms:.2f} P99 {one.load.p99_ms:.2f} ms  "
            f"client {one.load.client_share:.0%} others {one.others_share:.0%} stolen {one.stolen_share:.0%}"
        )


RUNS = {"recovery": recovery_run.main, "takeover": takeover_run.main, "rpc": rpc_run.main, "library": shelves_run.main}
"""Beside the whole run: its first argument names one of these."""


def main() -> int:
    if len(sys.argv) > 1 and sys.argv[1] in RUNS:
        return RUNS[sys.argv[1]](sys.argv[2:])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = read_options(sys.argv[1:])
    console = Console(highlight=False, soft_wrap=True)
    try:
        with ExitStack() as ending:
            results = _run(Run(options, console, ending))
    except KeyboardInterrupt:
        return 130
    except BenchmarkFailed as failed:
        console.print(f"[bold red]no figures:[/] {failed}")
        return 1
    write_report(options.output, results)
    console.print(f"\n{markdown(results)}\nWritten to {options.output}\n", markup=False)
    sys.stdout.write(json.dumps(results.keys) + "\n")
    return 0


def _run(run: Run) -> Results:
    ours, crowd, go = run.prepare()
    sessions, empty_bytes, played_bytes = run.play_in(ours, crowd)
    run.say("killing all hosts")
    chosen = choose_seeded(crowd.users, run.options.seeded_users)
    recovery = recover(ours, [(crowd.tokens[number], sessions[number]) for number in chosen])
    run.say(f"all sessions are served again after {recovery.seconds:.1f} s")
    peers = [] if run.options.ours_only else run.start_peers(ours, crowd, sessions, go.result())
    run.compare(ours, peers)
    run.keep_loading(ours)
    return _results(run, recovery, empty_bytes, played_bytes)


def _results(run: Run, recovery: Recovery, empty_bytes: int, played_bytes: float) -> Results:
    options = run.options
    keys, spreads = figures.judged(run.rounds, START_CONNECTIONS)
    found = figures.summaries(run.rounds)
    beats = {one.connections: one for one in found if (one.contender, one.kind) == (figures.OURS, "heartbeat")}
    keys["session.bytes"] = round((recovery.host_bytes - empty_bytes) / options.users, 1)
    keys["recovery.s"] = round(recovery.seconds, 2)
    keys["p99_ms.c64"] = round(beats[64].p99_ms, 2)
    return Results(
        summaries=found,
        keys=keys,
        spreads=spreads,
        users=options.users,
        hosts=options.hosts or Cluster().hosts,
        doors=options.doors or Server().max_doors,
        cores=os.cpu_count() or 1,
        recovery=recovery,
        played_bytes=played_bytes,
        took_s=time.monotonic() - run.began,
    )


def _stop(ours: OurService) -> None:
    ours.running.stop()


def _directory(ending: ExitStack) -> Path:
    directory = Path(tempfile.mkdtemp(prefix="library-bench-"))
    directory.chmod(0o755)  # as root, Postgres runs as another user
    ending.callback(shutil.rmtree, directory, ignore_errors=True)
    return directory


if __name__ == "__main__":
    sys.exit(main())
