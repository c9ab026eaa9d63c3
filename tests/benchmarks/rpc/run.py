"""`python -m tests.benchmarks rpc`: what CheckGameAccess costs, beside the same service in Go over Postgres.

Contenders are asked in turns; a ratio is the median of neighbours in time. The door with nothing behind it, on either
server, tells what of it is the server's. The last line of the output is JSON; the same is written to rpc.json.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import rmtree
from uuid import UUID

import asyncpg
from rich.console import Console

from actors.domain.commands import AddPurchase
from actors.domain.ids import UserId
from actors.domain.replies import Done
from actors.router import Router, RouterLimits
from cluster.dev.guard import destroy_with_this_process
from cluster.dev.stack import DevStack
from cluster.wiring import values
from persistence.postgres.cluster_map import PostgresClusterMapReader
from persistence.postgres.pool import ConnectionPool
from tests.benchmarks.command import Say, carry_out
from tests.benchmarks.crowd import GAMES, Crowd, SigningKey, make_users
from tests.benchmarks.failure import BenchmarkFailed
from tests.benchmarks.filling import CALL_TIMEOUT_S, IN_FLIGHT, PURCHASED_AT
from tests.benchmarks.options import ROOT, Options
from tests.benchmarks.ours import OurService
from tests.benchmarks.peers.tables import SCHEMA
from tests.benchmarks.rpc.contenders import Ours, build, door_alone, go_peer
from tests.benchmarks.rpc.load import Answered, LoadClient, Question, RpcContender
from tests.benchmarks.rpc.report import BATCHES, SINGLE, judged, line, markdown

COPY_TIMEOUT_S = 120


@dataclass(frozen=True, kw_only=True)
class RpcOptions:
    users: int = 50_000
    rounds: int = 3
    run_s: float = 5.0
    output: Path = ROOT / "build" / "bench"


def read_options(arguments: list[str]) -> RpcOptions:
    default = RpcOptions()
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks rpc", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--users", type=int, default=default.users, help="each owns two products")
    parser.add_argument("--rounds", type=int, default=default.rounds)
    parser.add_argument("--run-s", type=float, default=default.run_s, help="seconds of one measurement")
    parser.add_argument("--output", type=Path, default=default.output)
    return RpcOptions(**vars(parser.parse_args(arguments)))


def main(arguments: list[str]) -> int:
    options = read_options(arguments)

    def finish(found: list[Answered], console: Console) -> None:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "rpc.json").write_text(json.dumps([asdict(one) for one in found], indent=2) + "\n")
        console.print(f"\n{markdown(found)}\n", markup=False)
        sys.stdout.write(json.dumps(judged(found)) + "\n")

    return carry_out(lambda ending, say: _run(options, ending, say), finish)


def _run(options: RpcOptions, ending: ExitStack, say: Say) -> list[Answered]:
    directory = Path(tempfile.mkdtemp(prefix="library-bench-"))
    directory.chmod(0o755)  # as root, Postgres runs as another user
    ending.callback(rmtree, directory, ignore_errors=True)
    say("compiling the load client and the peer; starting the service")
    client, peer = build("load", directory), build("peer", directory)
    ours = _start_ours(directory, ending)
    users = make_users(options.users)
    (directory / "users").write_bytes(b"".join(users))
    say(f"{options.users:,} users buy their games")
    asyncio.run(_buy(ours, users))
    say("the peer's table is filled with the same")
    stack = _start_peers_postgres(directory, ending)
    asyncio.run(_fill(stack.postgres.dsn(), users))
    folder = directory / "alone"
    folder.mkdir()
    enter = ending.enter_context
    contenders: list[RpcContender] = [Ours(service=ours), enter(go_peer(peer, stack))]
    alone: list[RpcContender] = [enter(door_alone("h2corn", folder)), enter(door_alone("grpcio", folder))]
    load = LoadClient(program=client, users=directory / "users")
    found: list[Answered] = []
    for contender in (*contenders, *alone):
        say(f"warming up {contender.name}")
        load.measure(contender, Question(callers=2, pairs=1_000, packed=True), options.run_s)
        load.measure(contender, SINGLE[0], options.run_s / 2)
    for question in (*SINGLE, *BATCHES):
        for _ in range(options.rounds):
            for contender in contenders if question not in (SINGLE[0], *BATCHES) else (*contenders, *alone):
                one = load.measure(contender, question, options.run_s)
                found.append(one)
                say(line(one))
    return found


def _start_ours(directory: Path, ending: ExitStack) -> OurService:
    SigningKey().write_jwks(directory / "jwks.json")
    folder = directory / "service"
    folder.mkdir(mode=0o755)
    ours = OurService(folder, directory / "jwks.json", Options())
    ending.callback(ours.running.destroy)
    ending.callback(ours.running.stop)
    ours.running.start()
    return ours


def _start_peers_postgres(directory: Path, ending: ExitStack) -> DevStack:
    folder = directory / "peers"
    folder.mkdir(mode=0o755)
    ending.callback(destroy_with_this_process(folder).communicate, timeout=120)
    stack = DevStack(folder)
    ending.callback(stack.destroy)
    stack.up(["postgres"])
    return stack


async def _buy(ours: OurService, users: Sequence[UserId]) -> None:
    settings = ours.settings()
    pool = await ConnectionPool.open(
        dsn=values.dsn(settings), application_name="library-bench", timeouts=values.timeouts(settings)
    )
    router = Router(
        reader=PostgresClusterMapReader(pool),
        credentials=values.credentials(settings),
        role="ingress",
        limits=RouterLimits(),
    )
    router.start()
    crowd = Crowd(users=list(users), tokens=[])
    waiting = iter(users)

    async def buy() -> None:
        for user_id in waiting:
            purchase = AddPurchase(crowd.order_of(user_id), GAMES, PURCHASED_AT)
            reply = await router.call(user_id, purchase, timeout_s=CALL_TIMEOUT_S)
            if type(reply) is not Done:
                raise BenchmarkFailed(f"a purchase was answered {reply!r}")

    try:
        await asyncio.gather(*(buy() for _ in range(IN_FLIGHT)))
    finally:
        await router.close()
        await pool.close()


async def _fill(dsn: str, users: Sequence[UserId]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(SCHEMA.read_text())
        await connection.copy_records_to_table(
            "user_library_items",
            columns=["id", "user_id", "product_id"],
            records=[
                (UUID(bytes=os.urandom(16)), UUID(bytes=user), UUID(bytes=game)) for user in users for game in GAMES
            ],
            timeout=COPY_TIMEOUT_S,
        )
        await connection.execute("vacuum analyze", timeout=COPY_TIMEOUT_S)
    finally:
        await connection.close()
