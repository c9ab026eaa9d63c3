"""Three nodes on this machine, each with a host and a door: one is lost, one stands still, one joins, one leaves, and
all processes are replaced by a build that writes another version, while people play.

One cluster and one load for all; each test leaves three nodes behind. The last one judges what everybody was told.
"""

import asyncio
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from actors.fleet.ports import SILENT_S
from cluster.chaos.set_up import evidence_of
from cluster.dev.ray_node import RayNode
from cluster.verdict.checker import violations
from tests.support import events
from tests.support.running_service import RunningService
from tests.support.steady_load import SteadyLoad

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8"),
]

ROOT = Path(__file__).parents[2]
NODES = 3
USERS = 60
RTO_S = 30.0
CALM_S = 150.0
"""For what takes its time on a busy machine, and nobody waits for."""
TEST_S = 240.0


def bounded(test: Callable[["Cluster"], Awaitable[None]]) -> Callable[["Cluster"], Awaitable[None]]:
    """Fails after ``TEST_S``."""

    @functools.wraps(test)
    async def run(cluster: "Cluster") -> None:
        async with asyncio.timeout(TEST_S):
            await test(cluster)

    return run


class Cluster:
    """The running service, its nodes, and the load on it."""

    def __init__(self, service: RunningService, load: SteadyLoad) -> None:
        self.service = service
        self.load = load

    def node(self, number: int) -> RayNode:
        return next(node for node in self.service.stack.nodes if node.number == number)

    async def rows(self, sql: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.service.stack.postgres.dsn(), timeout=10, command_timeout=20)
        try:
            return await connection.fetch(sql)
        finally:
            await connection.close(timeout=10)

    async def until(self, sql: str, timeout_s: float = CALM_S) -> None:
        """Until the query's first value is true; fails with what the tables say, or with what a player met."""
        give_up_at = self.load.now() + timeout_s
        while not (rows := await self.rows(sql))[0][0]:
            self.load.raise_what_a_player_met()
            if self.load.now() > give_up_at:
                seen = await self.rows("select name, node, newest_version, serving, seen_at from processes")
                hosts = await self.rows("select * from hosts")
                raise AssertionError(f"after {timeout_s:.0f} s: {sql}: {rows}\nprocesses: {seen}\nhosts: {hosts}")
            await asyncio.sleep(0.3)

    async def journal_versions(self) -> set[int]:
        """Of the bodies of a moment when there are any."""
        await self.until("select exists (select from journal)")
        while not (rows := await self.rows("select distinct get_byte(body, 0) from journal")):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        return {row[0] for row in rows}

    async def until_spread(self) -> None:
        """A host and a door serve on each of three nodes, and each host owns its share."""
        for kind in ("host", "door"):
            await self.until(
                f"select count(distinct node) = {NODES} from processes "
                f"where serving and name like '{kind}-%' and seen_at > clock_timestamp() - interval '8 s'"
            )
        await self.until(
            "select count(*) = 3 and min(n) >= 85 from (select count(*) as n from shards group by host_id) as owned"
        )

    async def run(self, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return await asyncio.to_thread(
            lambda: subprocess.run(
                [sys.executable, "-m", *command],
                env={**self.service.environment(), **environment},
                capture_output=True,
                text=True,
                timeout=CALM_S,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        )

    async def loss(self, what: str, harm: Callable[[], None], over: str) -> None:
        """Does harm to a node, and measures until every player was answered again, once ``over`` (SQL) holds."""
        at = self.load.now()
        await asyncio.to_thread(harm)
        await self.until(over, RTO_S)
        over_s = self.load.now() - at
        await self.load.all_answered_after(self.load.now(), RTO_S)
        longest_s = self.load.longest_wait_since(at - 1)
        self.report(f"{what}: taken over after {over_s:.1f} s; the longest wait for an answer was {longest_s:.1f} s")
        assert longest_s < RTO_S

    @staticmethod
    def report(figures: str) -> None:
        """For whoever runs this with ``-s``: figures, which no test asserts."""
        sys.stdout.write(f"\n{figures}\n")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster() -> AsyncIterator[Cluster]:
    directory = Path(tempfile.mkdtemp(prefix="library-acceptance-"))
    os.chmod(directory, 0o755)  # as root, Postgres runs as another user
    environment = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "proto")))}
    former = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)  # of the nodes that this process starts, too
    service = RunningService(
        directory,
        nodes=NODES,
        LIBRARY_HOSTS=str(NODES),
        LIBRARY_MIN_DOORS=str(NODES),
        LIBRARY_MAX_DOORS=str(NODES),
        LIBRARY_MAX_DOORS_PER_NODE="1",
        LIBRARY_CLOCK_RATE="10",
    )
    load = SteadyLoad([f"http://127.0.0.{number}:{service.port}" for number in range(1, NODES + 1)], service.token)
    try:
        await asyncio.to_thread(service.start)
        cluster = Cluster(service, load)
        await cluster.until_spread()
        users = [(uuid4(), uuid4()) for _ in range(USERS)]
        for user, product in users:
            await events.send_purchase(service.stack.environment()["KAFKA_BROKERS"], user, [product])
        await cluster.until(f"select count(*) = {USERS} from user_library_items")
        load.start(users)
        await load.all_answered_after(load.now(), CALM_S)
        yield cluster
    finally:
        await load.abandon()
        await asyncio.to_thread(service.destroy)
        shutil.rmtree(directory, ignore_errors=True)
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@bounded
async def test_a_lost_node_is_made_up_for_within_30_seconds(cluster: Cluster) -> None:
    """Promise 1, R-NFR-3: every process of it at once, raylet included; its hosts run elsewhere."""
    lost = cluster.node(3)
    await cluster.loss("a node lost", lost.lose, "select bool_and(address not like '127.0.0.3:%') from hosts")
    await asyncio.to_thread(cluster.service.stack.remove_node, lost)


@bounded
async def test_a_node_that_joins_gets_its_share_and_nobody_notices(cluster: Cluster) -> None:
    """Clients that try again once see no error while users, a host and a door move to it."""
    at = cluster.load.now()
    node = await asyncio.to_thread(cluster.service.stack.add_node)
    assert node.host == "127.0.0.3"
    await cluster.until_spread()
    assert cluster.load.failures_since(at) == []


@bounded
async def test_a_node_whose_raylet_stands_still_is_taken_over_and_two_writers_are_one(cluster: Cluster) -> None:
    """Promise 3: its host goes on, cut off from nobody, and can write nothing more."""
    frozen = cluster.node(3)
    taken_over = "select bool_and(address not like '127.0.0.3:%') from hosts"
    await cluster.loss("a raylet frozen", lambda: frozen.freeze(raylet_alone=True), taken_over)
    at = cluster.load.now()
    await asyncio.to_thread(frozen.thaw)
    await cluster.load.all_answered_after(at, RTO_S)
    await asyncio.to_thread(cluster.service.stack.remove_node, frozen)
    await asyncio.to_thread(cluster.service.stack.add_node)
    await cluster.until_spread()


@bounded
async def test_all_processes_are_replaced_by_a_build_with_another_version_and_nobody_notices(cluster: Cluster) -> None:
    """Journal bodies, outbox rows and frames keep the old shape until all run the new build, then change it; clients
    that try again once see no error."""
    at = cluster.load.now()
    refused = await cluster.run("tests.support.next_release", "finish")
    assert refused.returncode != 0, "old processes run"
    assert (await cluster.rows("select version from cluster_version"))[0][0] == 1
    started = await cluster.run("tests.support.next_release", "start", LIBRARY_RELEASE="next")
    assert started.returncode == 0, started.stdout + started.stderr
    await cluster.until(
        "select count(*) >= 9 and bool_and(newest_version = 2) from processes "
        "where seen_at > clock_timestamp() - interval '8 s'"
    )
    assert await cluster.journal_versions() == {1}
    await cluster.until_spread()
    # of those that were killed the rows stay: silence tells, as for whoever finishes the release
    await cluster.until(
        "select count(*) = 0 from processes "
        f"where newest_version = 1 and seen_at > clock_timestamp() - interval '{SILENT_S} s'"
    )
    finished = await cluster.run("tests.support.next_release", "finish")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    await cluster.until("select bool_or(get_byte(body, 0) = 2) from journal")
    await cluster.load.all_answered_after(cluster.load.now(), RTO_S)
    assert cluster.load.failures_since(at) == []


@bounded
async def test_a_node_that_is_drained_leaves_and_nobody_notices(cluster: Cluster) -> None:
    """Its users, its host and its door move first."""
    at = cluster.load.now()
    drained = await cluster.run("cluster", "nodes", "drain", "127.0.0.2", "--timeout", "60")
    assert drained.returncode == 0, drained.stdout + drained.stderr
    await asyncio.to_thread(cluster.service.stack.remove_node, cluster.node(2))
    await cluster.load.all_answered_after(cluster.load.now(), RTO_S)
    assert cluster.load.failures_since(at) == []


@bounded
async def test_every_promise_was_kept(cluster: Cluster) -> None:
    """Promises 1 to 5, R-PT-2 to R-PT-4, R-PT-9, R-EVT-2, over all that players were told."""
    await cluster.load.stop()
    cluster.report(f"answers {dict(cluster.load.answers)}, tried again {cluster.load.retried}")
    evidence = evidence_of(cluster.service)
    while any((await evidence.left()).values()):  # noqa: ASYNC110 - a table has no event
        await asyncio.sleep(0.5)
    found = await evidence.collect()
    assert violations([player.history for player in cluster.load.players], found) == []
    assert cluster.load.answers[204] > USERS * 20
