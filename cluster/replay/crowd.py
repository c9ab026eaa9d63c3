"""All clients of a run: a fixed number of workers, each playing the game whose turn it is."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from cluster.replay.figures import Figures
from cluster.replay.patience import GaveUp
from cluster.replay.pause import Pause
from cluster.replay.payments import Payments
from cluster.replay.plan import UserPlan
from cluster.replay.player import FruitlessPlay, Player
from cluster.replay.schedule import Schedule, Turn
from cluster.replay.service import Refused
from cluster.replay.shelf import Shelf

CLIENT_FAILURES = (GaveUp, Refused, FruitlessPlay)


@dataclass(kw_only=True)
class Guest:
    """A user who has arrived. ``shopping`` sends the orders, one after the other, while the first games are played;
    ``late_repeats`` are events that the payment service sends again when the user is done."""

    plan: UserPlan
    player: Player
    shelf: Shelf
    shopping: "asyncio.Task[None] | None" = None
    late_repeats: list[bytes] = field(default_factory=list)


class Crowd:
    """``bought`` gets every (user, product) whose purchase event is durable. Clients that fail are counted and the
    others go on; a bug ends the run."""

    def __init__(
        self,
        schedule: Schedule,
        payments: Payments,
        *,
        arrive: Callable[[UserPlan], Guest],
        figures: Figures,
        pause: Pause,
        bought: set[tuple[str, str]],
    ) -> None:
        self._schedule = schedule
        self._payments = payments
        self._arrive = arrive
        self._figures = figures
        self._pause = pause
        self._bought = bought
        self._guests: dict[int, Guest] = {}

    async def run(self, *, workers: int, ramp_s: float) -> None:
        """Returns when everything is played or the run was cut. Workers begin one by one within ``ramp_s``."""
        begin = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for n in range(workers):
                group.create_task(self._work(begin + ramp_s * n / workers, group))

    async def _work(self, begin: float, group: asyncio.TaskGroup) -> None:
        await self._pause.until(begin)
        while not self._pause.is_cut and (turn := self._schedule.take()) is not None:
            guest = self._guests.get(turn.rank)
            if guest is None:
                guest = self._guests[turn.rank] = self._arrive(turn.user)
                guest.shopping = group.create_task(self._shop(guest))
            await self._play(guest, turn)
            if self._schedule.release(turn):
                await self._leave(self._guests.pop(turn.rank))

    async def _play(self, guest: Guest, turn: Turn) -> None:
        try:
            if await guest.shelf.wait_for(turn.play.product_id):
                await guest.player.play(turn.play.product_id, turn.play.seconds)
                self._figures.plays_done += not self._pause.is_cut
        except CLIENT_FAILURES as failure:
            self._figures.fail(str(failure))

    async def _shop(self, guest: Guest) -> None:
        user_id = guest.plan.user_id
        try:
            for n, order in enumerate(guest.plan.orders):
                if self._pause.is_cut:
                    return
                event = await self._payments.pay(user_id, order)
                self._bought.update((user_id, product_id) for product_id in order.product_ids)
                if not order.sent_twice:
                    continue
                if n % 2 == 0:
                    await self._payments.repeat(user_id, event)
                else:
                    guest.late_repeats.append(event)
        except GaveUp as failure:
            self._figures.fail(str(failure))

    async def _leave(self, guest: Guest) -> None:
        self._figures.users_done += not self._pause.is_cut
        if guest.shopping is not None:
            await guest.shopping
        try:
            for event in guest.late_repeats:
                await self._payments.repeat(guest.plan.user_id, event)
        except GaveUp as failure:
            self._figures.fail(str(failure))
