"""A thousand sessions live on while everything breaks: each line of ARCHITECTURE.md's "When something is down", once.

The tests share one running service and one crowd, and break one thing after another; the last one has all of it judged
by the checker that also judges the simulation. `library chaos` does the same for as long as one likes.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from actors.domain.ids import format_id, shard_of
from cluster.chaos.calls import Answered
from cluster.chaos.faults import Fault, fault
from cluster.chaos.stage import RIVAL_AFTER_S
from cluster.chaos.trial import Injected, Options, Trial

pytestmark = pytest.mark.asyncio(loop_scope="module")

SESSIONS = 1000
OUTAGE_S = 15.0
CLOCK_RATE = 15.0
"""A session times out after 20 real seconds of silence, and beats every 8: within an outage, if silence counted."""
FAILED = {"503", "time-out", "connection"}


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


async def test_without_postgres_nothing_is_acknowledged_and_callers_are_told_to_come_back(trial: Trial) -> None:
    """R-NFR-3, promise 1: 503 with Retry-After; the hosts recover by themselves."""
    breaking = asyncio.create_task(inject(trial, fault("outage-postgres")))
    await asyncio.sleep(OUTAGE_S / 2)
    beats = trial.crowd.beats
    await asyncio.sleep(OUTAGE_S / 4)
    assert trial.crowd.beats == beats, "a heartbeat was acknowledged without Postgres"
    injected = await breaking
    assert injected.met.counts["503"] > 0


async def test_without_kafka_everything_works_and_the_outbox_waits(trial: Trial) -> None:
    """R-EVT-2: the events come out afterwards, in order; the last test looks."""
    breaking = asyncio.create_task(inject(trial, fault("outage-kafka")))
    await asyncio.sleep(OUTAGE_S * 3 / 4)
    assert await trial.evidence.outbox() > 0
    injected = await breaking
    assert not FAILED & injected.met.counts.keys(), injected.met.counts
    assert injected.met.answered["start"] > 0


async def test_a_frozen_host_is_taken_over_and_two_writers_are_one(trial: Trial) -> None:
    """Promise 3. Its users' calls wait, then get a 503; all other users notice nothing."""
    connection = await asyncpg.connect(trial.stage.library.stack.postgres.dsn())
    owners = dict(await connection.fetch("select shard_id, host_id from shards"))
    await connection.close()
    injected = await inject(trial, fault("two-writers"))
    frozen = int(injected.target.removeprefix("host-").partition(",")[0])
    host_of = {client.name: owners[shard_of(client.history.user_id)] for client in trial.crowd.clients}
    answers = [one for one in answers_since(trial, injected.at_s) if one.who in host_of]
    refused = Counter(host_of[one.who] == frozen for one in answers if one.met == "503")
    alone = [one for one in answers if 3 < one.at - injected.at_s < RIVAL_AFTER_S]
    answered = Counter(host_of[one.who] == frozen for one in alone if one.met not in FAILED)
    assert answered[False] > 10 * answered[True], answered
    assert refused[True] > 10 * refused[False], refused


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
    """Promises 1 to 6, R-PT-2 to R-PT-4, R-PT-9, R-EVT-2, over all that was ever answered."""
    verdict = await trial.finish(print)
    assert verdict.violations == []
    assert verdict.beats > 10_000
    users = {format_id(client.history.user_id) for client in trial.crowd.clients}
    assert len(users) > SESSIONS
