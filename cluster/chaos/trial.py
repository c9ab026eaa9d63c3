"""A trial: the service on its own servers behind our proxies, a crowd of clients, faults, and a verdict."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Self

from cluster.chaos.calls import Calls, Met
from cluster.chaos.crowd import Crowd
from cluster.chaos.evidence import CANNOT_READ, Evidence
from cluster.chaos.faults import Fault
from cluster.chaos.running import RunningLibrary, ServiceFailed
from cluster.chaos.set_up import Options, evidence_of, open_crowd, set_up
from cluster.chaos.stage import Stage
from cluster.verdict.checker import violations

HOSTS = 2
DOORS = 2
CROWD_TIMEOUT_S = 600.0
ANSWERED_TIMEOUT_S = 180.0
EVENTS_TIMEOUT_S = 240.0
REST_TIMEOUT_S = 240.0
QUIET_S = 3.0
EVENT_SLOW_S = 10.0
OUTBOX_SMALL = 500
POLL_S = 0.25


@dataclass(frozen=True, kw_only=True)
class Injected:
    """What a fault did to callers. Seconds since it began: when it was over, when the last call that had waited for
    more than two seconds was answered (0 if none had to), when events moved again."""

    kind: str
    target: str
    at_s: float
    over_s: float
    answered_s: float
    events_s: float
    met: Met
    live: int


@dataclass(kw_only=True)
class Verdict:
    """``violations`` empty: every promise was kept."""

    violations: list[str] = field(default_factory=list)
    sessions: int = 0
    beats: int = 0
    excused: int = 0
    events: int = 0
    met: Met
    took_s: float = 0.0


class Trial:
    """Made by ``running``. ``inject`` faults, then ``finish``."""

    def __init__(self, options: Options, stage: Stage, crowd: Crowd, calls: Calls, evidence: Evidence) -> None:
        self.options = options
        self.stage = stage
        self.crowd = crowd
        self.calls = calls
        self.evidence = evidence
        self.findings: list[str] = []
        self._loop = asyncio.get_running_loop()

    @classmethod
    @asynccontextmanager
    async def running(
        cls, options: Options, say: Callable[[str], None], rescue: Callable[[], None] = lambda: None
    ) -> AsyncIterator[Self]:
        """The service answers and the crowd plays. Everything ends with the block; if by an error, ``rescue`` is called
        before the directory is removed. ``ServiceFailed``."""
        random = Random(options.seed)
        library = RunningLibrary(
            options.directory,
            LIBRARY_CLOCK_RATE=f"{options.rate:g}",
            LIBRARY_HOSTS=str(HOSTS),
            LIBRARY_MIN_DOORS=str(DOORS),
            LIBRARY_MAX_DOORS=str(DOORS),
            LIBRARY_DEV_GCS_REDIS="1",
            PLAYTIME_HEARTBEAT_INTERVAL_SECONDS=str(options.beat_every_s),
        )
        async with AsyncExitStack() as leaving:
            leaving.push_async_callback(asyncio.to_thread, library.destroy)
            leaving.push(lambda kind, _error, _traceback: rescue() if kind is not None else None)
            say("starting Postgres, Kafka, Ray and the service")
            stage = await set_up(options, library, HOSTS, random, leaving)
            calls = leaving.enter_context(Calls(options.directory / "history.jsonl"))
            watching = asyncio.create_task(calls.watch_fitness())
            leaving.callback(watching.cancel)
            crowd = await open_crowd(options, library, calls, random, leaving)
            leaving.push_async_callback(crowd.abandon)
            trial = cls(options, stage, crowd, calls, evidence_of(library))
            say(f"{len(crowd.clients):,} users buy a game and begin to play")
            await crowd.arrive()
            await trial._until(lambda: crowd.live >= options.sessions, CROWD_TIMEOUT_S, "too few sessions are live")
            yield trial

    async def inject(self, fault: Fault) -> Injected:
        """Returns when callers are answered again and events move. What does not come back becomes a finding."""
        began = self._loop.time()
        at_s = self.calls.now()
        self.calls.note(fault.kind)
        met = self.calls.mark()
        try:
            target = await fault.inject(self.stage)
        except (ServiceFailed, *CANNOT_READ) as failed:
            target = "it did not come back"
            self.findings.append(f"{at_s:.1f} {fault.kind}: {failed}")
        over = self._loop.time()
        self.calls.note(f"{fault.kind} is over: {target}")
        try:
            await self._until_events_move()
            events_s = self._loop.time() - began
            await self._until(lambda: self._answered(met, over), ANSWERED_TIMEOUT_S, "callers are not answered again")
        except ServiceFailed as failed:
            events_s = self._loop.time() - began
            self.findings.append(f"{at_s:.1f} {fault.kind}: {failed}")
        self.calls.flush()
        return Injected(
            kind=fault.kind,
            target=target,
            at_s=at_s,
            over_s=over - began,
            answered_s=0.0 if met.last_slow_at is None else met.last_slow_at - began,
            events_s=events_s,
            met=met,
            live=self.crowd.live,
        )

    async def finish(self, say: Callable[[str], None]) -> Verdict:
        """All clients leave, everything comes to rest, the checker judges."""
        say("the clients end their sessions; those left without a word time out")
        try:
            async with asyncio.timeout(CROWD_TIMEOUT_S):
                await self.crowd.leave()
            await self._come_to_rest()
        except (ServiceFailed, TimeoutError) as failed:
            self.findings.append(f"at the end: {failed or 'the clients were not answered'}")
        say("every user lists the library a last time; the tables and the topic are read")
        await self.crowd.look_at_the_end()
        self.calls.flush()
        verdict = Verdict(
            violations=list(self.findings),
            sessions=sum(client.sessions for client in self.crowd.clients),
            beats=self.crowd.beats,
            excused=sum(client.late for client in self.crowd.clients),
            met=self.calls.total,
            took_s=self.calls.now(),
        )
        try:
            found = await self.evidence.collect()
        except CANNOT_READ as failed:
            verdict.violations.append(f"the tables or topics cannot be read: {failed}")
        else:
            verdict.events = len(found.events)
            verdict.violations += violations(self.crowd.histories, found)
        return verdict

    def _answered(self, met: Met, over: float) -> bool:
        now = self._loop.time()
        quiet_since = max(over, met.last_slow_at or 0.0)
        return self.calls.longest_wait_s() < QUIET_S and now - quiet_since >= QUIET_S

    async def _until_events_move(self) -> None:
        await self._until(
            lambda: self.calls.longest_wait_s(events=True) < EVENT_SLOW_S, EVENTS_TIMEOUT_S, "purchases do not show"
        )
        await self._until_read(self._outbox_is_small, EVENTS_TIMEOUT_S, "the outbox does not drain")

    async def _outbox_is_small(self) -> bool:
        return await self.evidence.outbox() < OUTBOX_SMALL

    async def _come_to_rest(self) -> None:
        timeout_s = REST_TIMEOUT_S + self.crowd.clients[0].pace.timeout_s / self.options.rate
        await self._until_read(self._at_rest, timeout_s, "not everything came to rest")

    async def _at_rest(self) -> bool:
        return not any((await self.evidence.left()).values())

    async def _until_read(self, condition: Callable[[], Awaitable[bool]], timeout_s: float, problem: str) -> None:
        """The same for what is read from servers that may be away."""
        give_up_at = self._loop.time() + timeout_s
        while True:
            try:
                if await condition():
                    return
                last = problem
            except CANNOT_READ as failed:
                last = f"{problem}: {failed}"
            self._still(give_up_at, last)
            await asyncio.sleep(1.0)

    async def _until(self, condition: Callable[[], bool], timeout_s: float, problem: str) -> None:
        give_up_at = self._loop.time() + timeout_s
        while not condition():
            self._still(give_up_at, f"{problem} within {timeout_s:.0f} s")
            await asyncio.sleep(POLL_S)

    def _still(self, give_up_at: float, problem: str) -> None:
        """``ServiceFailed`` when there is no sense in waiting longer."""
        if (bug := self.crowd.failed) is not None:
            raise bug
        if self.stage.library.ended:
            raise ServiceFailed(f"`library run` has ended:\n{self.stage.library.log_tail()}")
        if self._loop.time() > give_up_at:
            raise ServiceFailed(problem)
