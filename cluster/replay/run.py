"""A whole run: play, then check. The only place of this package where things are put together."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

import aiohttp

from cluster.replay.check import Owned, Violation
from cluster.replay.crowd import Crowd, Guest
from cluster.replay.evidence import CANNOT_READ, Inspector, Known, Tables
from cluster.replay.figures import Figures
from cluster.replay.patience import GaveUp, Patience, Retries
from cluster.replay.pause import Pause
from cluster.replay.payments import Payments, Topic
from cluster.replay.plan import Plan, UserPlan
from cluster.replay.player import Player
from cluster.replay.schedule import Schedule, shortest_run_s
from cluster.replay.service import Refused, Service, http_session
from cluster.replay.shelf import Shelf
from cluster.replay.told import ToldSession

RAMP_S = 10.0
CONNECTIONS = 256
SETTLE_S = 30.0
SESSION_TIMEOUT_S = 300
"""Service time after which the sessions of clients that gave up end by themselves."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """``rate``: of the service's clock. ``workers`` games are played at once, ``lanes`` of them by one user."""

    rate: float
    workers: int
    lanes: int
    seed: int
    patience: Patience

    def shortest_s(self, plan: Plan) -> float:
        """Real time below which the play cannot be done."""
        return shortest_run_s(plan.users, workers=self.workers, lanes=self.lanes) / self.rate


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a run talks to. ``headers_of`` makes a user's request headers; ``open_topic`` may wait for Kafka."""

    url: str
    headers_of: Callable[[str], dict[str, str]]
    open_topic: Callable[[Retries], AbstractAsyncContextManager[Topic]]
    tables: Tables


@dataclass(kw_only=True)
class Outcome:
    """``violations`` is None when the check was not made; ``problem`` then says why."""

    figures: Figures = field(default_factory=Figures)
    told: list[ToldSession] = field(default_factory=list)
    bought: set[Owned] = field(default_factory=set)
    phase: str = "connecting"
    cut: bool = False
    played_in_s: float = 0.0
    client_cpu_s: float = 0.0
    violations: list[Violation] | None = None
    problem: str | None = None

    @property
    def is_exact(self) -> bool:
        return self.violations == [] and not self.figures.failed


class Replay:
    """``outcome`` can be watched while ``run`` goes on; ``pause.cut()`` ends the play early, the check follows."""

    def __init__(self, plan: Plan, pace: Pace, surroundings: Surroundings) -> None:
        self.plan = plan
        self.pace = pace
        self.pause = Pause()
        self.outcome = Outcome()
        self._surroundings = surroundings
        self._random = Random(pace.seed)

    async def run(self) -> Outcome:
        outcome = self.outcome
        async with http_session(connections=min(CONNECTIONS, self.pace.workers)) as http:
            try:
                await self._play(http)
            except GaveUp as failure:
                outcome.figures.fail(str(failure))
            outcome.cut = self.pause.is_cut
            await self._check(http)
        return outcome

    async def _play(self, http: aiohttp.ClientSession) -> None:
        figures = self.outcome.figures
        retries = self._retries(figures, self.pause)
        service = Service(http, self._surroundings.url, figures=figures, retries=retries)
        async with self._surroundings.open_topic(retries) as topic:
            payments = Payments(topic, figures=figures, retries=retries, now=lambda: datetime.now(UTC))
            crowd = Crowd(
                Schedule(self.plan.users, workers=self.pace.workers, lanes=self.pace.lanes, seed=self.pace.seed),
                payments,
                arrive=lambda user: self._arrive(user, service),
                figures=figures,
                pause=self.pause,
                bought=self.outcome.bought,
            )
            await self._run_crowd(crowd)

    async def _run_crowd(self, crowd: Crowd) -> None:
        outcome, loop = self.outcome, asyncio.get_running_loop()
        outcome.phase = "playing"
        began, cpu_began = loop.time(), time.process_time()
        try:
            await crowd.run(workers=self.pace.workers, ramp_s=min(RAMP_S, 0.1 * self.pace.shortest_s(self.plan)))
        finally:
            outcome.played_in_s = loop.time() - began
            outcome.client_cpu_s = time.process_time() - cpu_began

    def _arrive(self, user: UserPlan, service: Service) -> Guest:
        figures, patience = self.outcome.figures, self.pace.patience
        headers = self._surroundings.headers_of(user.user_id)
        player = Player(
            user.user_id,
            headers,
            service,
            rate=self.pace.rate,
            told=self.outcome.told,
            figures=figures,
            pause=self.pause,
            random=self._random,
        )
        shelf = Shelf(service, headers, figures=figures, pause=self.pause, patience=patience)
        return Guest(plan=user, player=player, shelf=shelf)

    async def _check(self, http: aiohttp.ClientSession) -> None:
        """With figures and a pause of its own: its calls are no clients', and a cut run is checked all the same."""
        outcome = self.outcome
        outcome.phase = "checking"
        figures = Figures()
        service = Service(http, self._surroundings.url, figures=figures, retries=self._retries(figures, Pause()))
        inspector = Inspector(
            self._surroundings.tables,
            service,
            headers_of=self._surroundings.headers_of,
            settle_s=SETTLE_S + SESSION_TIMEOUT_S / self.pace.rate,
        )
        users = sorted({user_id for user_id, _ in outcome.bought} | {told.user_id for told in outcome.told})
        known = Known(users=users, bought=outcome.bought, told=outcome.told, cut=outcome.cut)
        try:
            outcome.violations = await inspector.inspect(known)
        except (GaveUp, Refused, *CANNOT_READ) as failure:
            outcome.problem = f"the check could not be made: {failure}"
        outcome.phase = "done"

    def _retries(self, figures: Figures, pause: Pause) -> Retries:
        return Retries(patience=self.pace.patience, pause=pause, random=self._random, counted=figures.retries)


@contextmanager
def ctrl_c_cuts(pause: Pause) -> Iterator[None]:
    """The first Ctrl-C cuts the run, the second cancels the current task."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def on_ctrl_c() -> None:
        if pause.is_cut and task is not None:
            task.cancel()
        pause.cut()

    loop.add_signal_handler(signal.SIGINT, on_ctrl_c)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
