"""A user who plays nearly all the time, on one device or another, one session after the other.

Now and then they leave without a word, or another of their devices takes the session over; else a session ends by its
own end alone, because its client beats in time, or tries to. Beside it they buy, look, keep their library in order and
bring what they played offline.
"""

import asyncio
from collections.abc import Mapping

from actors.domain.ids import SECOND, Micros, ProductId, SessionId, format_id, parse_id, parse_time
from cluster.chaos.batch_bodies import Counted
from cluster.chaos.bodies import session_of, sessions_of
from cluster.chaos.caller import Unanswered
from cluster.chaos.curator import Curator
from cluster.chaos.game_server import GameServer
from cluster.chaos.looks import Looks
from cluster.chaos.luggage import Luggage
from cluster.chaos.shop import Paper, now_text
from cluster.chaos.user import Misbehaved, User, noted
from cluster.replay.service import Answer, error_code
from cluster.verdict.history import Told

MOST_PRODUCTS = 8
SHOWN_POLL_S = 0.5
SHOWN_PATIENCE_S = 300.0
TOO_MANY_PAUSE_S = 3.0
DEVICES = ("deck", "desktop")


class Client:
    """``live`` until the run stops, or something is wrong; then see ``history``. ``server``: through which it beats;
    None for whoever beats alone."""

    def __init__(self, user: User, server: GameServer | None) -> None:
        self.user = user
        self.name = user.name
        self.history = user.history
        self.pace = user.around.pace
        self.playing: Told | None = None
        self.beats = 0
        self.sessions = 0
        self.late = 0
        self._server = server
        self._looks = Looks(user)
        self._curator = Curator(user)
        self._curates = user.happens(self.pace.curators_share)
        self._luggage = Luggage(user)
        self._calls = user.around.calls
        self._stop = user.around.stop
        self._random = user.random
        self._device = DEVICES[0]
        self._interval_s = 60.0
        self._alive_at = 0.0
        self._was_late = False

    async def live(self) -> None:
        with noted(self.history):
            await self._buy()
            while not self._stop.is_set():
                told = await self._start(self._random.choice(self.history.products))
                if told is None:  # it left too many sessions without a word: they time out
                    await self.user.rest(TOO_MANY_PAUSE_S)
                    continue
                self.playing = told
                await self._play(told)
                self.playing = None
                await self._looks.items()
                await self._looks.statistics()
                if self.user.happens(self.pace.buys_share) and len(self.history.products) < MOST_PRODUCTS:
                    await self._buy()

    async def look_at_the_end(self) -> None:
        """The categories and the last listing, when everything is at rest."""
        with noted(self.history):
            await self._looks.categories()
            self.history.final_totals = await self._looks.items()

    async def _buy(self) -> None:
        products = [ProductId(self._random.randbytes(16)) for _ in range(self._random.randint(1, 2))]
        paper = Paper(
            kind="purchase",
            user_id=self.user.text,
            order_id=self.user.new_uuid(),
            event_id=self.user.new_uuid(),
            product_ids=tuple(format_id(product) for product in products),
            at=now_text(),
        )
        for product in products:
            self.history.shelf.will_own(product, True)
        call = self._calls.begin(self.name, "shown", paper.order_id)
        try:
            await self.user.around.shop.hand_in(self.name, paper)
            while not self.history.shelf.arrived.issuperset(products):
                if asyncio.get_running_loop().time() > call.began + SHOWN_PATIENCE_S:
                    raise Unanswered(f"purchase {paper.order_id} did not show within {SHOWN_PATIENCE_S:.0f} s")
                await asyncio.sleep(SHOWN_POLL_S)
                await self._looks.items()
            self._calls.answered(call, "shown", took_s=0.0)
        finally:
            self._calls.end(call)
        self.history.products += products

    async def _start(self, product: ProductId) -> Told | None:
        """None while too many sessions are live."""
        loop = asyncio.get_running_loop()
        attributes = {"product_id": format_id(product), "device_id": self._device, "platform": "pc"}
        data = {"type": "playtimeSessionStart", "attributes": attributes}
        self.history.starts += 1
        self.history.other_device_starts(product, self._device)
        began = loop.time()
        answer = await self.user.post("start", "/playtime/sessions/start", data, target=format_id(product))
        if answer.status == 422 and error_code(answer) == "LIVE_SESSION_LIMIT_REACHED":
            return None
        if answer.status not in (200, 201):
            self.user.refuse("start", answer)
        self._alive_at = loop.time()
        self._interval_s = _next_beat(answer)
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
            await self.user.rest(due - asyncio.get_running_loop().time())
            if self.user.happens(self.pace.brings_share):
                await self._luggage.bring(told, self._surely_past(told))
            if not await self._beat(told):
                return
            if self.user.happens(self.pace.looks_share):
                await self._look(told)
            if self._curates and self.user.happens(self.pace.curates_share):
                await self._curator.act()
            if self.user.happens(self.pace.asks_share):
                await self._looks.access(self._random.choice(self.history.products))
        chance = self._random.random()
        if chance < self.pace.left_share:
            told.may_have_ended = True
        elif chance < self.pace.left_share + self.pace.taken_over_share and not self._stop.is_set():
            await self._take_over(told)
        else:
            await self._end(told)

    def _surely_past(self, told: Told) -> Micros:
        """A moment of the service's time after the last beat, which its clock has passed."""
        since_s = 0.5 * (asyncio.get_running_loop().time() - self._alive_at) * self.pace.rate
        return Micros(told.last_accepted + int(since_s * SECOND))

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
        self._was_late = asyncio.get_running_loop().time() - self._alive_at > self.pace.excused_after_s
        times = 2 if self.user.happens(self.pace.repeated_share) else 1
        for _ in range(times):
            counted = await (self._beat_alone(told) if self._server is None else self._beat_with_others(told))
            if counted is None:
                self._excuse(told)
                self.history.beat_refused_as_ended(told)
                return False
            self.history.beat_counted(told, counted.accepted_at)
            self._interval_s = counted.next_beat_s
            self._alive_at = asyncio.get_running_loop().time()
            self.beats += 1
        return True

    async def _beat_alone(self, told: Told) -> Counted | None:
        answer = await self.user.ask("beat", "POST", f"/playtime/sessions/{format_id(told.session_id)}/heartbeat")
        if answer.status == 409 and error_code(answer) == "SESSION_ENDED":
            return None
        if answer.status != 204:
            self.user.refuse("beat", answer)
        return Counted(parse_time(answer.headers.get("Library-Accepted-At") or ""), _next_beat(answer))

    async def _beat_with_others(self, told: Told) -> Counted | None:
        assert self._server is not None, "asked for by those alone who have one"
        said = await self._server.beat(self.name, self.history.user_id, told.session_id, self._random)
        if isinstance(said, str) and said != "SESSION_ENDED":
            self.history.wrong(f"a heartbeat among many was answered {said}")
            raise Misbehaved("beats")
        return None if isinstance(said, str) else said

    async def _end(self, told: Told) -> None:
        path = f"/playtime/sessions/{format_id(told.session_id)}/end"
        self._was_late = asyncio.get_running_loop().time() - self._alive_at > self.pace.excused_after_s
        for _ in range(2 if self.user.happens(self.pace.repeated_share) else 1):
            keyed = self.user.happens(self.pace.keyed_share)
            answer = await (self.user.post("end", path) if keyed else self.user.ask("end", "POST", path))
            if answer.status != 200:
                self.user.refuse("end", answer)
            end = session_of(answer).end
            if end.reason == "timeout":
                self._excuse(told)
            self.history.end_answered(told, end)

    async def _look(self, told: Told) -> None:
        """Reads are never older than what was acknowledged before (promise 5)."""
        await self._looks.items()
        known = self.history.before_reading()
        shown: Mapping[SessionId, None] = dict.fromkeys(
            sessions_of(await self.user.get("active", "/playtime/sessions/active"))
        )
        if told.session_id not in shown:
            self._excuse(told)
        self.history.saw_live(known, shown, told)

    def _excuse(self, told: Told) -> None:
        """A client that was too busy to beat in time has no claim to its session."""
        if told.must_be_live and (self._was_late or self._calls.unfit_at >= self._alive_at):
            told.may_have_ended = True
            self.late += 1


def _next_beat(answer: Answer) -> float:
    return float(answer.headers.get("Library-Next-Heartbeat-Seconds") or "")
