"""A thousand sessions live on while everything breaks: each line of ARCHITECTURE.md's "When something is down", once.
Beside them libraries are kept, games are bought, given and returned, offline play is brought, and access is asked for.

The tests share one running service and one crowd, and break one thing after another; the last one has all of it judged
by the checker that also judges the simulation. `library chaos` does the same for as long as one likes.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from actors.domain.ids import format_id, shard_of
from cluster.chaos.calls import EVENTS_IN, Answered
from cluster.chaos.faults import Fault, fault
from cluster.chaos.set_up import Options
from cluster.chaos.stage import RIVAL_AFTER_S
from cluster.chaos.trial import Injected, Trial
from cluster.dev.part import Part

pytestmark = pytest.mark.asyncio(loop_scope="module")

SESSIONS = 1000
OUTAGE_S = 15.0
CLOCK_RATE = 15.0
"""A session times out after 20 real seconds of silence, and beats every 8: within an outage, if silence counted."""
FAILED = {"503", "time-out", "connection"}
ANSWERED_BY_NOBODY = {"items", "beats", *EVENTS_IN}
"""Calls whose answer says nothing of a host: pages may come from a copy, and of many heartbeats each has its own."""
SURELY_FROZEN_S = 3.0
"""After a fault began, its first step has long been done."""
OUTBOX_WAITS = 10
CONDITION_TIMEOUT_S = 60.0
POLL_S = 0.1
MIXED_IN = {
    *("beats", "offline", "free", "purchase", "gift", "key", "refund", "access"),
    *("change", "changes", "category", "rename", "delete"),
}
"""Beside sessions and their heartbeats."""


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="library-acceptance-"))
    made.chmod(0o755)  # as root, Postgres runs as another user
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trial(directory: Path) -> AsyncIterator[Trial]:
    options = Options(
        directory=directory, seed=4, sessions=SESSIONS, outage_s=OUTAGE_S, rate=CLOCK_RATE, beat_every_s=120
    )
    async with Trial.running(options, print) as running:
        yield running


async def inject(trial: Trial, chosen: Fault) -> Injected:
    """Whatever it was: in the end callers are answered again, events move, and a thousand sessions are played."""
    injected = await trial.inject(chosen)
    assert trial.findings == []
    assert injected.met.without_retry_after == 0, "each 503 says when to come back"
    assert injected.live >= 0.9 * SESSIONS
    return injected


def answers_since(trial: Trial, at_s: float) -> list[Answered]:
    trial.calls.flush()
    lines = trial.calls.history_file.read_bytes().splitlines()
    return [one for one in map(msgspec.json.Decoder(Answered).decode, lines) if one.at >= at_s]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(CONDITION_TIMEOUT_S):
        while not await condition():  # noqa: ASYNC110 - it is another process' state
            await asyncio.sleep(POLL_S)


async def absence(trial: Trial, part: Part) -> tuple[float, float]:
    """Waits for a part to go and to come back. From when until when it surely was away, in seconds of the run."""

    async def is_away() -> bool:
        return not await asyncio.to_thread(lambda: part.running)

    await until(is_away)
    began = ended = trial.calls.now()
    while await is_away():
        ended = trial.calls.now()
        await asyncio.sleep(POLL_S)
    return began, ended


async def test_without_postgres_nothing_is_acknowledged_and_callers_are_told_to_come_back(trial: Trial) -> None:
    """R-NFR-3, promises 1 and 4: what is asked meanwhile is not answered, a page from a copy excepted, but refused with
    503 and Retry-After; the hosts recover by themselves."""
    breaking = asyncio.create_task(inject(trial, fault("outage-postgres")))
    began, ended = await absence(trial, trial.stage.library.stack.postgres)
    await breaking
    meanwhile = [one for one in answers_since(trial, began) if began < one.at - one.took_s and one.at < ended]
    assert any(one.met == "503" for one in meanwhile)
    assert [one for one in meanwhile if one.met not in FAILED and one.call not in ANSWERED_BY_NOBODY] == []


async def test_without_kafka_everything_works_and_the_outbox_waits(trial: Trial) -> None:
    """R-EVT-2: the events come out afterwards, in order; the last test looks."""
    kafka = trial.stage.library.stack.kafka
    breaking = asyncio.create_task(inject(trial, fault("outage-kafka")))

    async def waits() -> bool:
        return not kafka.running and await trial.evidence.outbox() > OUTBOX_WAITS

    await until(waits)
    injected = await breaking
    assert not FAILED & injected.met.counts.keys(), injected.met.counts
    assert injected.met.answered["start"] > 0


async def test_a_frozen_host_is_taken_over_and_two_writers_are_one(trial: Trial) -> None:
    """Promise 3. Until somebody takes it over, nothing that its users ask is answered, a page from a copy excepted: it
    waits, then gets a 503. In all that time and until everything is well again not one call of a user of the other host
    fails, is refused with a 5xx, or has to be tried again. (Game servers call for users of both.)"""
    connection = await asyncpg.connect(trial.stage.library.stack.postgres.dsn())
    owners = dict(await connection.fetch("select shard_id, host_id from shards"))
    await connection.close()
    injected = await inject(trial, fault("two-writers"))
    frozen = int(injected.target.removeprefix("host-").partition(",")[0])
    host_of = {one.user.name: owners[shard_of(one.history.user_id)] for one in trial.crowd.everybody()}
    answers = [one for one in answers_since(trial, injected.at_s) if one.who in host_of and one.call not in EVENTS_IN]
    its = [one for one in answers if host_of[one.who] == frozen]
    others = [one for one in answers if host_of[one.who] != frozen]
    sure_from, sure_until = injected.at_s + SURELY_FROZEN_S, injected.at_s + RIVAL_AFTER_S
    alone = [one for one in its if one.at - one.took_s > sure_from and one.at < sure_until]
    assert [one for one in alone if one.met not in FAILED and one.call not in ANSWERED_BY_NOBODY] == []
    assert any(one.met == "503" for one in its)
    assert len(others) > SESSIONS / 10
    assert [one for one in others if one.met in FAILED or one.met.startswith("5") or one.attempt > 1] == []


async def test_a_killed_door_costs_its_connections_alone(trial: Trial) -> None:
    """R-NFR-4: clients connect again, to another door."""
    injected = await inject(trial, fault("kill-door"))
    assert injected.met.counts.keys() <= {"connection"}, injected.met.counts


async def test_without_rays_head_everything_that_runs_goes_on(trial: Trial) -> None:
    """Its GCS has a Redis of its own, and comes back."""
    injected = await inject(trial, fault("outage-gcs"))
    assert not injected.met.counts, injected.met.counts


async def test_one_process_of_every_kind_dies_at_once(trial: Trial) -> None:
    """R-NFR-3: in any combination."""
    await inject(trial, fault("kill-all"))


async def test_every_promise_was_kept(trial: Trial) -> None:
    """Promises 1 to 6, R-LIB-2, R-LIB-3, R-LIB-5, R-PT-2 to R-PT-4, R-PT-6, R-PT-7, R-PT-9, R-RPC-1, R-EVT-2, over all
    that was ever answered."""
    verdict = await trial.finish(print)
    assert not verdict.violations, "\n".join(verdict.violations[:20])
    assert verdict.beats > 10_000
    assert verdict.met.answered.keys() >= MIXED_IN
    users = {format_id(client.history.user_id) for client in trial.crowd.clients}
    assert len(users) > SESSIONS
