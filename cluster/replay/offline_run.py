"""A whole offline run: send, then check. Put together here, of the parts that the online replay is made of too."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from random import Random

import aiohttp

from cluster.replay.check import Item, Violation
from cluster.replay.evidence import CANNOT_READ
from cluster.replay.figures import Figures
from cluster.replay.offline_check import check_offline
from cluster.replay.offline_plan import FIRST_DAY
from cluster.replay.offline_player import OfflinePlayer
from cluster.replay.patience import GaveUp, Retries
from cluster.replay.pause import Pause
from cluster.replay.payments import Payments
from cluster.replay.plan import Plan, UserPlan
from cluster.replay.run import CONNECTIONS, SETTLE_S, Outcome, Pace, Surroundings
from cluster.replay.service import Refused, Service, http_session
from cluster.replay.shelf import Shelf, read_items

CHECKED_AT_ONCE = 100
POLL_S = 1.0


class OfflineReplay:
    """``pace.workers`` users at once. ``outcome`` can be watched; ``pause.cut()`` ends the sending early, and what was
    sent whole is checked."""

    def __init__(self, plan: Plan, pace: Pace, surroundings: Surroundings) -> None:
        self.plan = plan
        self.pace = pace
        self.pause = Pause()
        self.outcome = Outcome()
        self._surroundings = surroundings
        self._random = Random(pace.seed)
        self._done: list[UserPlan] = []

    async def run(self) -> Outcome:
        outcome = self.outcome
        async with http_session(connections=min(CONNECTIONS, self.pace.workers)) as http:
            loop = asyncio.get_running_loop()
            began, cpu_began = loop.time(), time.process_time()
            try:
                await self._send(http)
            except GaveUp as failure:
                outcome.figures.fail(str(failure))
            outcome.played_in_s, outcome.client_cpu_s = loop.time() - began, time.process_time() - cpu_began
            outcome.cut = self.pause.is_cut
            outcome.phase = "checking"
            try:
                outcome.violations = await self._check(http)
            except (GaveUp, Refused, *CANNOT_READ) as failure:
                outcome.problem = f"the check could not be made: {failure}"
            outcome.phase = "done"
        return outcome

    async def _send(self, http: aiohttp.ClientSession) -> None:
        figures = self.outcome.figures
        retries = self._retries(figures, self.pause)
        service = Service(http, self._surroundings.url, figures=figures, retries=retries)
        async with self._surroundings.open_topic(retries) as topic:
            payments = Payments(topic, figures=figures, retries=retries, now=lambda: FIRST_DAY)
            self.outcome.phase = "sending"
            waiting = iter(self.plan.users)
            async with asyncio.TaskGroup() as group:
                for _ in range(self.pace.workers):
                    group.create_task(self._work(waiting, payments, service))

    async def _work(self, waiting: Iterator[UserPlan], payments: Payments, service: Service) -> None:
        for user in waiting:
            if self.pause.is_cut:
                return
            try:
                await self._one(user, payments, service)
            except (GaveUp, Refused) as failure:
                self.outcome.figures.fail(f"user {user.user_id}: {failure}")

    async def _one(self, user: UserPlan, payments: Payments, service: Service) -> None:
        figures = self.outcome.figures
        headers = self._surroundings.headers_of(user.user_id)
        player = OfflinePlayer(user, headers, service, figures=figures, pause=self.pause, seed=self.pace.seed)
        shelf = Shelf(service, headers, figures=figures, pause=self.pause, patience=self.pace.patience)
        if await player.buy(payments, shelf):
            self.outcome.bought.update((user.user_id, play.product_id) for play in user.plays)
            if await player.bring():
                figures.users_done += 1
                self._done.append(user)

    async def _check(self, http: aiohttp.ClientSession) -> list[Violation]:
        """Group by group, so that what is held of the tables is bounded."""
        service = Service(http, self._surroundings.url, figures=Figures(), retries=self._retries(Figures(), Pause()))
        found: list[Violation] = []
        for first in range(0, len(self._done), CHECKED_AT_ONCE):
            found += await self._check_some(self._done[first : first + CHECKED_AT_ONCE], service)
        return found

    async def _check_some(self, users: Sequence[UserPlan], service: Service) -> list[Violation]:
        """Looks until everything is as it should be: tables follow acknowledgements a moment later."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + SETTLE_S
        while True:
            api_items = [item for user in users for item in await self._read_api(user, service)]
            table_items, sessions = await self._surroundings.tables.read([user.user_id for user in users])
            violations = check_offline(users, api_items, table_items, sessions)
            if not violations or loop.time() + POLL_S > give_up_at:
                return violations
            await asyncio.sleep(POLL_S)

    async def _read_api(self, user: UserPlan, service: Service) -> list[Item]:
        return [
            Item(user_id=user.user_id, product_id=seen.product_id, total_seconds=seen.total_playtime_seconds)
            for seen in await read_items(service, self._surroundings.headers_of(user.user_id))
        ]

    def _retries(self, figures: Figures, pause: Pause) -> Retries:
        return Retries(patience=self.pace.patience, pause=pause, random=self._random, counted=figures.retries)
