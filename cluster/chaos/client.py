"""One user of a run: buys, plays, looks, and believes nothing but answers.

It plays nearly all the time, on one device or another, one session after the other. Now and then it leaves without a
word, or another of its devices takes the session over; else a session of its may end by its own end alone, because it
beats in time, or tries to.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import NoReturn
from uuid import UUID

from actors.domain.ids import ProductId, SessionId, UserId, format_id, parse_id, parse_time
from cluster.chaos.bodies import UNREADABLE, session_of, sessions_of, total_of, totals_of
from cluster.chaos.caller import Caller, Request, Unanswered
from cluster.chaos.calls import Calls
from cluster.chaos.shop import Shop
from cluster.replay.plan import Order
from cluster.replay.service import Answer, error_code
from cluster.verdict.history import History, Told

MOST_PRODUCTS = 8
SHOWN_POLL_S = 0.5
SHOWN_PATIENCE_S = 300.0
TOO_MANY_PAUSE_S = 3.0
DEVICES = ("deck", "desktop")


class Misbehaved(Exception):
    """The service gave an answer that no client of this kind should get; it is written down already."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """``rate``: of the service's clock. ``timeout_s``: service time of silence after which a session may end. The
    shares are of sessions or beats; ``beats`` is how long a session is, on average."""

    rate: float
    timeout_s: float
    beats: float = 12.0
    left_share: float = 0.08
    taken_over_share: float = 0.08
    looks_share: float = 0.1
    repeated_share: float = 0.03
    buys_share: float = 0.15

    @property
    def excused_after_s(self) -> float:
        """Real seconds without an attempt after which a time-out is the client's own fault."""
        return 0.5 * self.timeout_s / self.rate


class Client:
    """``live`` until ``stop`` is set, or something is wrong; then see ``history``."""

    def __init__(
        self,
        number: int,
        *,
        token: str,
        caller: Caller,
        shop: Shop,
        calls: Calls,
        pace: Pace,
        stop: asyncio.Event,
        random: Random,
        user_id: UserId,
    ) -> None:
        self.name = f"user {number}"
        self.history = History(user_id=user_id, name=f"{self.name} ({format_id(user_id)})", now=calls.now)
        self.playing: Told | None = None
        self.beats = 0
        self.sessions = 0
        self.late = 0
        self._user = format_id(user_id)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._caller = caller
        self._shop = shop
        self._calls = calls
        self.pace = pace
        self._stop = stop
        self._random = random
        self._device = DEVICES[0]
        self._interval_s = 60.0
        self._alive_at = 0.0
        self._was_late = False

    async def live(self) -> None:
        try:
            await self._buy()
            while not self._stop.is_set():
                told = await self._start(self._random.choice(self.history.products))
                if told is None:  # it left too many sessions without a word: they time out
                    await self._sleep_until(asyncio.get_running_loop().time() + TOO_MANY_PAUSE_S)
                    continue
                self.playing = told
                await self._play(told)
                self.playing = None
                await self._look()
                if self._random.random() < self.pace.buys_share and len(self.history.products) < MOST_PRODUCTS:
                    await self._buy()
        except Unanswered as nobody:
            self.history.wrong(str(nobody))
        except Misbehaved:
            return  # it is in the history
        except UNREADABLE as unreadable:
            self.history.wrong(f"an answer is unreadable: {unreadable}")

    async def look_at_the_end(self) -> None:
        """The last listing, when everything is at rest."""
        try:
            self.history.final_totals = await self._totals()
        except (Unanswered, Misbehaved, *UNREADABLE) as failed:
            self.history.wrong(f"the last listing failed: {failed}")

    async def _buy(self) -> None:
        products = [ProductId(self._random.randbytes(16)) for _ in range(self._random.randint(1, 2))]
        order = Order(
            order_id=str(UUID(bytes=self._random.randbytes(16), version=4)),
            event_id=str(UUID(bytes=self._random.randbytes(16), version=4)),
            product_ids=tuple(format_id(product) for product in products),
            sent_twice=False,
        )
        call = self._calls.begin(self.name, "shown", order.order_id)
        try:
            await self._shop.sell(self.name, self._user, order)
            while not set(products) <= (await self._totals() or {}).keys():
                if asyncio.get_running_loop().time() > call.began + SHOWN_PATIENCE_S:
                    raise Unanswered(f"purchase {order.order_id} did not show within {SHOWN_PATIENCE_S:.0f} s")
                await asyncio.sleep(SHOWN_POLL_S)
            self._calls.answered(call, "shown", took_s=0.0)
        finally:
            self._calls.end(call)
        self.history.products += products

    async def _start(self, product: ProductId) -> Told | None:
        """None while too many sessions are live."""
        loop = asyncio.get_running_loop()
        attributes = {"product_id": format_id(product), "device_id": self._device, "platform": "pc"}
        body = json.dumps({"data": {"type": "playtimeSessionStart", "attributes": attributes}}).encode()
        key = str(UUID(bytes=self._random.randbytes(16), version=4))
        headers = {**self._headers, "Content-Type": "application/json", "Idempotency-Key": key}
        self.history.starts += 1
        self.history.other_device_starts(product, self._device)
        began = loop.time()
        request = Request(
            kind="start",
            method="POST",
            path="/playtime/sessions/start",
            headers=headers,
            body=body,
            target=format_id(product),
        )
        answer = await self._caller.ask(self.name, request)
        if answer.status == 422 and error_code(answer) == "LIVE_SESSION_LIMIT_REACHED":
            return None
        if answer.status not in (200, 201):
            self._refuse("start", answer)
        self._alive_at = loop.time()
        self._interval_s = self._next_beat(answer)
        session = session_of(answer)
        self.sessions += 1
        told = self.history.started(
            session_id=session.session_id,
            product_id=ProductId(parse_id(session.attributes.product_id)),
            device_id=session.attributes.device_id or "",
            started_at=parse_time(session.attributes.start_time),
        )
        if self._alive_at - began > self.pace.excused_after_s:
            told.may_have_ended = True  # the first attempt may have begun it long ago, and nobody has beaten since
        return told

    async def _play(self, told: Told) -> None:
        while self._random.random() > 1 / self.pace.beats and not self._stop.is_set():
            due = self._alive_at + self._interval_s / self.pace.rate * self._random.uniform(0.9, 1.0)
            await self._sleep_until(due)
            if not await self._beat(told):
                return
            if self._random.random() < self.pace.looks_share:
                await self._look(told)
        chance = self._random.random()
        if chance < self.pace.left_share:
            told.may_have_ended = True
        elif chance < self.pace.left_share + self.pace.taken_over_share and not self._stop.is_set():
            await self._take_over(told)
        else:
            await self._end(told)

    async def _take_over(self, told: Told) -> None:
        """Another device starts the same product: the session ends there, and the old device hears of it."""
        self._device = DEVICES[self._device == DEVICES[0]]
        new = await self._start(told.product_id)
        if new is None:
            return
        if new.session_id == told.session_id:
            self.history.wrong("another device was given the session of the first")
        if await self._beat(told):
            self.history.wrong("a session that was taken over beats on")
        await self._end(new)

    async def _beat(self, told: Told) -> bool:
        """False when the session is over."""
        path = f"/playtime/sessions/{format_id(told.session_id)}/heartbeat"
        self._was_late = asyncio.get_running_loop().time() - self._alive_at > self.pace.excused_after_s
        times = 2 if self._random.random() < self.pace.repeated_share else 1
        for _ in range(times):
            answer = await self._post("beat", path)
            if answer.status == 409 and error_code(answer) == "SESSION_ENDED":
                self._excuse(told)
                self.history.beat_refused_as_ended(told)
                return False
            if answer.status != 204:
                self._refuse("beat", answer)
            self.history.beat_counted(told, parse_time(answer.headers.get("Library-Accepted-At") or ""))
            self._interval_s = self._next_beat(answer)
            self._alive_at = asyncio.get_running_loop().time()
            self.beats += 1
        return True

    async def _end(self, told: Told) -> None:
        path = f"/playtime/sessions/{format_id(told.session_id)}/end"
        self._was_late = asyncio.get_running_loop().time() - self._alive_at > self.pace.excused_after_s
        for _ in range(2 if self._random.random() < self.pace.repeated_share else 1):
            answer = await self._post("end", path)
            if answer.status != 200:
                self._refuse("end", answer)
            end = session_of(answer).end
            if end.reason == "timeout":
                self._excuse(told)
            self.history.end_answered(told, end)

    async def _look(self, told: Told | None = None) -> None:
        """Reads are never older than what was acknowledged before (promise 5)."""
        known = self.history.before_reading()
        if (totals := await self._totals()) is not None:
            self.history.saw_items(known, totals)
        if told is None:
            answer = await self._get("stats", "/playtime/stats")
            self.history.saw_total(known, total_of(answer))
            return
        answer = await self._get("active", "/playtime/sessions/active")
        shown: Mapping[SessionId, None] = dict.fromkeys(sessions_of(answer))
        if told.session_id not in shown:
            self._excuse(told)
        self.history.saw_live(known, shown, told)

    async def _totals(self) -> dict[ProductId, int] | None:
        """None of a stale page."""
        return totals_of(await self._get("items", "/items?limit=100"))

    async def _post(self, kind: str, path: str) -> Answer:
        request = Request(kind=kind, method="POST", path=path, headers=self._headers)
        return await self._caller.ask(self.name, request)

    async def _get(self, kind: str, path: str) -> Answer:
        """Only 200 is an answer."""
        request = Request(kind=kind, method="GET", path=path, headers=self._headers)
        answer = await self._caller.ask(self.name, request)
        if answer.status != 200:
            self._refuse(kind, answer)
        return answer

    async def _sleep_until(self, moment: float) -> None:
        """Or until the run ends."""
        wait_s = moment - asyncio.get_running_loop().time()
        if wait_s > 0:
            try:
                async with asyncio.timeout(wait_s):
                    await self._stop.wait()
            except TimeoutError:
                return

    def _excuse(self, told: Told) -> None:
        """A client that was too busy to beat in time has no claim to its session."""
        if told.must_be_live and (self._was_late or self._calls.unfit_at >= self._alive_at):
            told.may_have_ended = True
            self.late += 1

    def _next_beat(self, answer: Answer) -> float:
        return float(answer.headers.get("Library-Next-Heartbeat-Seconds") or "")

    def _refuse(self, what: str, answer: Answer) -> NoReturn:
        self.history.wrong(f"{what} was answered {answer.status}: {answer.body[:300].decode(errors='replace')}")
        raise Misbehaved(what)
