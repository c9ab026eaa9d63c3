"""`python -m tests.benchmarks library`: large libraries, looked at by many, and asked about by services.

10,000 users with 5 to 5,000 items each, at most a million rows; 1,000 requests a second, open loop: first pages over
HTTP, the first of which finds nothing of its user in memory, searches, and CheckGameAccess over gRPC.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console

from actors.domain.ids import UserId, format_id
from cluster.dev.neighbours.parts import CatalogServer
from cluster.dev.neighbours.world import Known
from tests.benchmarks import cpu
from tests.benchmarks.command import Say, carry_out
from tests.benchmarks.crowd import GAMES, SigningKey, make_users
from tests.benchmarks.failure import BenchmarkFailed
from tests.benchmarks.options import ROOT, Options
from tests.benchmarks.ours import OurService
from tests.benchmarks.rpc.contenders import build
from tests.benchmarks.shelves.collections import Collections, make_collections, titles
from tests.benchmarks.shelves.outcome import OK, judge, keys, markdown, plot
from tests.benchmarks.shelves.seeding import seed
from tests.benchmarks.shelves.visits import Rates, plan, request
from tests.benchmarks.survival.loading import SPARE_S, OpenLoop
from tests.benchmarks.survival.outcomes import Record, read_record
from tests.benchmarks.survival.stage import machine_load

SEED = 20_240_315
CONNECTIONS = 200
EARLY_RATE = 100


@dataclass(frozen=True, kw_only=True)
class LibraryOptions:
    users: int = 10_000
    seconds: int = 60
    hosts: int = 0
    output: Path = ROOT / "build" / "bench"


def read_options(arguments: list[str]) -> LibraryOptions:
    default = LibraryOptions()
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks library",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="The last line of the output is JSON; everything is written to library.json, the share of slow requests "
        "to library.png, in the output directory. Latencies are from the instant a request was meant to leave. "
        "Without Go, CheckGameAccess is left out.",
    )
    add = parser.add_argument
    add("--users", type=int, default=default.users, help=f"with 5 to 5,000 items each ({default.users:,})")
    add("--seconds", type=int, default=default.seconds, help=f"of load ({default.seconds})")
    add("--hosts", type=int, default=default.hosts, help="0: as the service itself chooses")
    add("--output", type=Path, default=default.output, help="directory for the results (build/bench)")
    return LibraryOptions(**vars(parser.parse_args(arguments)))


def main(arguments: list[str]) -> int:
    options = read_options(arguments)

    def finish(found: dict[str, dict[str, float]], console: Console) -> None:
        console.print(f"\n{markdown(found)}", markup=False)
        sys.stdout.write(json.dumps(keys(found)) + "\n")

    return carry_out(lambda ending, say: _run(options, ending, say), finish)


def _run(options: LibraryOptions, ending: ExitStack, say: Say) -> dict[str, dict[str, float]]:
    directory = Path(tempfile.mkdtemp(prefix="library-bench-"))
    directory.chmod(0o755)  # as root, Postgres runs as another user
    ending.callback(shutil.rmtree, directory, ignore_errors=True)
    random = Random(SEED)
    users, collections = make_users(options.users), make_collections(options.users, random)
    go = _build_client(directory, say)
    key = SigningKey()
    service = _start(options, directory, key, users, collections, ending, say)
    rates = Rates()
    asked = plan(options.users, options.seconds, rates, random)
    say(f"signing {options.users:,} tokens")
    tokens = key.sign_for(users)
    early, requests = directory / "early", directory / "requests"
    early.write_bytes(b"\0".join(request("page", tokens[user], random) for user in asked.early))
    requests.write_bytes(
        b"\0".join(
            request(kind, tokens[user], random) for kind, user in zip(asked.http.kinds, asked.http.users, strict=True)
        )
    )
    (directory / "users").write_bytes(b"".join(users[user] for user in asked.rpc.users))
    say(f"{len(asked.early):,} users are there already")
    with OpenLoop(
        early, service.running.port, directory / "early.record",
        rate=EARLY_RATE, seconds=len(asked.early) / EARLY_RATE, connections=CONNECTIONS,
    ) as load:  # fmt: skip
        load.wait()
    say(f"{rates.http + (rates.access if go else 0):,} requests a second for {options.seconds} s; {machine_load()}")
    records = _load(service, directory, rates, options, go, say)
    pairs = list(zip(records, (asked.http, asked.rpc), strict=False))
    for record, _ in pairs:
        if any(refused := Counter(status for status in record.status if status != OK)):
            say(f"not answered well, by status: {dict(refused)}")
    found: dict[str, dict[str, float]] = {}
    for record, visits in pairs:
        found |= judge(record, visits, collections.sizes)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "library.json").write_text(json.dumps(found, indent=2) + "\n")
    about = f"{options.users:,} libraries, {sum(collections.sizes):,} items, {rates.http + rates.access:,} requests/s"
    plot(options.output / "library.png", pairs, about)
    say(f"written to {options.output}")
    return found


def _build_client(directory: Path, say: Say) -> Path | None:
    try:
        return build("load", directory)
    except BenchmarkFailed as missing:
        say(f"CheckGameAccess is left out: {missing}")
        return None


def _start(
    options: LibraryOptions,
    directory: Path,
    key: SigningKey,
    users: Sequence[UserId],
    collections: Collections,
    ending: ExitStack,
    say: Say,
) -> OurService:
    key.write_jwks(directory / "jwks.json")
    place = directory / "service"
    place.mkdir(mode=0o755)
    service = OurService(place, directory / "jwks.json", Options(hosts=options.hosts))
    ending.callback(service.running.destroy)
    ending.callback(service.running.stop)
    total, largest = sum(collections.sizes), max(collections.sizes)
    say(f"seeding {total:,} items of {options.users:,} users, {largest:,} at most")
    service.stack.up(["postgres", CatalogServer.name])
    asyncio.run(seed(service.stack.postgres.dsn(), users, collections))
    catalog = service.stack.part(CatalogServer.name)
    assert isinstance(catalog, CatalogServer)
    products = titles(collections)

    def learn(known: Known) -> None:
        known.products = products

    catalog.change(learn)
    say("starting the service")
    service.running.start()
    return service


def _load(
    service: OurService, directory: Path, rates: Rates, options: LibraryOptions, go: Path | None, say: Say
) -> list[Record]:
    """What each of the two clients saw."""
    paths = [directory / "http.record", directory / "rpc.record"]
    labels = service.processes()
    before, busy_before, began = cpu.read(labels), cpu.machine_s()[0], time.monotonic()
    with ExitStack() as clients:
        load = clients.enter_context(
            OpenLoop(
                directory / "requests", service.running.port, paths[0],
                rate=rates.http, seconds=options.seconds, connections=CONNECTIONS,
            )
        )  # fmt: skip
        if go is None:
            del paths[1]
        else:
            asking = subprocess.Popen(_command(go, service, directory, rates, options, load), stderr=subprocess.PIPE)
            clients.callback(asking.kill)
            _, complaints = asking.communicate(timeout=options.seconds + SPARE_S)
            if asking.returncode:
                raise BenchmarkFailed(f"the gRPC client failed:\n{complaints.decode()}")
        load.wait()
    spent = cpu.spent_s(before, cpu.read(labels), labels)
    cores = (cpu.machine_s()[0] - busy_before) / (time.monotonic() - began)
    parts = sorted(spent.items(), key=lambda part: -part[1])
    split = ", ".join(f"{label} {seconds / options.seconds:.2f}" for label, seconds in parts if seconds > 0.5)
    say(f"cores in use: {cores:.2f} in all; {split}; {machine_load()}")
    return [read_record(path) for path in paths]


def _command(
    go: Path, service: OurService, directory: Path, rates: Rates, options: LibraryOptions, load: OpenLoop
) -> list[Any]:
    files = service.stack.certificates
    return [
        *(str(go), f"-address=127.0.0.1:{service.running.grpc_port}", f"-authority={files.authority}"),
        *(f"-certificate={files.client_certificate}", f"-key={files.client_key}", f"-users={directory / 'users'}"),
        *(f"-game={format_id(GAMES[0])}", f"-rate={rates.access}", f"-seconds={options.seconds}"),
        *(f"-record={directory / 'rpc.record'}", f"-starts-at={load.starts_at!r}"),
    ]
