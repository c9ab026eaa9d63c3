"""The kinds of faults: what each does, to its end. Each returns, in words, whom it hit.

Pure of any judgement: whether the service kept its promises is the checker's to say.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import asyncpg

from cluster.chaos.proxies import KAFKA, POSTGRES
from cluster.chaos.stage import Stage, send
from cluster.dev.process import ProcessId

CUTS = 3
SLOW_S = 20.0
DISK_FULL_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    kind: str
    what: str
    inject: Callable[[Stage], Awaitable[str]]


def _kill(kind: str, what: str, name: str) -> Fault:
    return Fault(kind=kind, what=what, inject=lambda stage: stage.kill(lambda: stage.library.pids(name)))


def _kill_ray(kind: str, what: str, title: str) -> Fault:
    return Fault(kind=kind, what=what, inject=lambda stage: stage.kill(lambda: stage.library.ray_pids(title)))


def _freeze(kind: str, what: str, name: str) -> Fault:
    async def inject(stage: Stage) -> str:
        pids = await asyncio.to_thread(stage.library.pids, name)
        return await stage.freeze([stage.random.choice(pids)])

    return Fault(kind=kind, what=what, inject=inject)


async def _kill_part(stage: Stage, name: str) -> str:
    """``library run`` starts it again."""
    part = stage.library.stack.part(name)
    former = part.pid
    await asyncio.to_thread(part.kill)
    await stage.until(lambda: part.running and part.pid != former and part.ready())
    return f"pid {former}"


async def _kill_backend(stage: Stage) -> str:
    connection = await asyncpg.connect(stage.library.stack.postgres.dsn(), timeout=10.0, command_timeout=10.0)
    try:
        rows = await connection.fetch(
            "select pid, application_name from pg_stat_activity where application_name like 'library-%' order by pid"
        )
        victim = stage.random.choice(rows)
        send([victim["pid"]], signal.SIGKILL)
    finally:
        connection.terminate()
    return f"pid {victim['pid']}, {victim['application_name']}"


async def _freeze_postgres(stage: Stage) -> str:
    postgres = stage.library.stack.postgres
    backends: list[ProcessId] = await asyncio.to_thread(postgres.strays)
    return await stage.freeze([pid for pid in (postgres.pid,) if pid is not None] + [one.pid for one in backends])


async def _kill_all(stage: Stage) -> str:
    """One process of every kind at the same moment."""
    names = ("host-", "door", "supervisor", "kafka-ingress", "outbox-relay")
    before = {name: await asyncio.to_thread(stage.library.pids, name) for name in names}
    controllers = await asyncio.to_thread(stage.library.ray_pids, "ray::ServeController")
    victims = [stage.random.choice(pids) for pids in before.values() if pids] + controllers
    send(victims, signal.SIGKILL)
    for name, pids in before.items():
        await stage.until(
            lambda name=name, pids=pids: len(set(stage.library.pids(name)) - set(victims)) >= len(pids)  # type: ignore[misc]
        )
    return f"{len(victims)} processes"


def _between(name: str, parts: str, proxies: Callable[[Stage], Sequence[str]]) -> list[Fault]:
    """Cut, stalled and slow connections."""

    async def cut(stage: Stage) -> str:
        for _ in range(CUTS):
            stage.proxies.cut(proxies(stage))
            await asyncio.sleep(stage.random.uniform(0.2, 2.0))
        return f"{CUTS} times"

    async def stall(stage: Stage) -> str:
        stage.proxies.stall(proxies(stage))
        try:
            await asyncio.sleep(SLOW_S)
        finally:
            stage.proxies.flow(proxies(stage))
        return f"for {SLOW_S:.0f} s"

    async def slow(stage: Stage) -> str:
        delay_s = stage.random.uniform(0.02, 0.2)
        stage.proxies.delay(proxies(stage), delay_s)
        try:
            await asyncio.sleep(SLOW_S)
        finally:
            stage.proxies.delay(proxies(stage), 0.0)
        return f"{delay_s * 1000:.0f} ms each way for {SLOW_S:.0f} s"

    return [
        Fault(kind=f"cut-{name}", what=f"every connection between {parts} breaks, {CUTS} times", inject=cut),
        Fault(kind=f"stall-{name}", what=f"nothing passes between {parts} for {SLOW_S:.0f} s", inject=stall),
        Fault(kind=f"slow-{name}", what=f"what passes between {parts} is late for {SLOW_S:.0f} s", inject=slow),
    ]


async def _kill_gcs(stage: Stage) -> str:
    return await stage.kill(lambda: stage.library.ray_pids("gcs_server"))


async def _outage_gcs(stage: Stage) -> str:
    """Nothing new is placed meanwhile; everything that runs goes on."""
    hold = stage.library.stack.ray.gcs_hold
    assert hold is not None, "the stack was started with a Redis for the GCS"
    victims = await asyncio.to_thread(stage.library.ray_pids, "gcs_server")
    hold.touch()
    try:
        send(victims, signal.SIGKILL)
        await asyncio.sleep(stage.outage_s)
    finally:
        hold.unlink()
    await stage.until(lambda: bool(stage.library.ray_pids("gcs_server")))
    return f"away for {stage.outage_s:.0f} s"


async def _disk_full(stage: Stage) -> str:
    disk = stage.disk
    assert disk is not None, "the kind is skipped without a small disk"
    postgres = stage.library.stack.postgres
    with postgres.unwatched():  # its recovery may need room too: then it stays down until there is some
        await asyncio.to_thread(disk.fill)
        try:
            await asyncio.sleep(DISK_FULL_S)
        finally:
            await asyncio.to_thread(disk.free)
    await asyncio.to_thread(stage.library.stack.up, [postgres.name])
    await stage.until(lambda: postgres.running and postgres.ready())
    return f"for {DISK_FULL_S:.0f} s"


FAULTS: tuple[Fault, ...] = (
    _kill("kill-door", "kill -9 of a door", "door"),
    _kill("kill-host", "kill -9 of a host", "host-"),
    _kill("kill-supervisor", "kill -9 of the supervisor", "supervisor"),
    _kill("kill-ingress", "kill -9 of the Kafka ingress", "kafka-ingress"),
    _kill("kill-relay", "kill -9 of the outbox relay", "outbox-relay"),
    _kill_ray("kill-controller", "kill -9 of Serve's controller", "ray::ServeController"),
    Fault(
        kind="kill-all", what="kill -9 of one process of each kind of ours, and Serve's controller", inject=_kill_all
    ),
    Fault(
        kind="kill-postgres", what="kill -9 of Postgres' postmaster", inject=lambda stage: _kill_part(stage, "postgres")
    ),
    Fault(kind="kill-backend", what="kill -9 of a Postgres backend of ours", inject=_kill_backend),
    Fault(kind="kill-kafka", what="kill -9 of Kafka", inject=lambda stage: _kill_part(stage, "kafka")),
    _freeze("freeze-host", "a host stops for 20 s and goes on", "host-"),
    Fault(
        kind="two-writers",
        what="a host stops for 20 s, another process takes it over, both go on",
        inject=lambda stage: stage.two_writers(),
    ),
    _freeze("freeze-door", "a door stops for 20 s and goes on", "door"),
    _freeze("freeze-relay", "the relay stops for 20 s and goes on", "outbox-relay"),
    _freeze("freeze-ingress", "the ingress stops for 20 s and goes on", "kafka-ingress"),
    Fault(kind="freeze-postgres", what="all of Postgres stops for 20 s and goes on", inject=_freeze_postgres),
    Fault(
        kind="outage-postgres",
        what="Postgres is stopped, and started after --outage-s",
        inject=lambda stage: stage.away(stage.library.stack.postgres),
    ),
    Fault(
        kind="outage-kafka",
        what="Kafka is stopped, and started after --outage-s",
        inject=lambda stage: stage.away(stage.library.stack.kafka),
    ),
    Fault(kind="kill-gcs", what="kill -9 of Ray's GCS, which has its own Redis", inject=_kill_gcs),
    Fault(kind="outage-gcs", what="kill -9 of Ray's GCS, which comes back after --outage-s", inject=_outage_gcs),
    Fault(kind="kill-gcs-redis", what="kill -9 of the GCS' Redis", inject=lambda stage: _kill_part(stage, "gcs-redis")),
    *_between("postgres", "the service and Postgres", lambda _stage: [POSTGRES]),
    *_between("kafka", "the service and Kafka", lambda _stage: [KAFKA]),
    *_between("link", "doors and hosts", lambda stage: stage.proxies.links),
    Fault(kind="disk-full", what="Postgres' disk is full for 15 s (root only)", inject=_disk_full),
)

KINDS = tuple(fault.kind for fault in FAULTS)


def fault(kind: str) -> Fault:
    return FAULTS[KINDS.index(kind)]
