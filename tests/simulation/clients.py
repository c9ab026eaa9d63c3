"""Players: what they do, and everything they were told. They know nothing of the inside.

A client talks to either door, tries again after silence or a 503 with the same command id, and beats at least every two
seconds while it plays. It writes down what was acknowledged; that is all the checker believes.
"""

import asyncio
import json
from random import Random
from uuid import UUID

from msgspec import Struct, field

from actors.domain.commands import EndSession, Heartbeat, ListItems, ListLiveSessions, StartSession
from actors.domain.ids import CommandId, Micros, ProductId, SessionId, UserId, format_id
from actors.domain.model import EndedSession, LiveSession
from actors.domain.replies import (
    Failed,
    HeartbeatCounted,
    ItemsPage,
    LiveSessions,
    Overloaded,
    Refused,
    Reply,
    SessionIsLive,
    SessionIsOver,
    Unavailable,
)
from tests.simulation.world import DOORS, PURCHASES, Request, World

BEAT_EVERY_S = 1.0


class Told(Struct, kw_only=True):
    """What one client knows of one session."""

    session: LiveSession
    last_accepted: Micros
    ended: EndedSession | None = None
    refused_as_ended: bool = False
    may_have_ended: bool = False
    command_id: CommandId | None = None


class Attempt(Struct, kw_only=True, eq=False):
    """A start on its way; ``contested`` by another device's start of the same product."""

    product: ProductId
    device: str
    contested: bool = False


class History(Struct, kw_only=True):
    """What all clients were told, and what they say is wrong."""

    user_id: UserId
    products: list[ProductId] = field(default_factory=list)
    sessions: dict[SessionId, Told] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    answers: int = 0
    silences: int = 0
    starts: int = 0


class Player:
    """One user with one or two devices."""

    def __init__(self, world: World, number: int, random: Random) -> None:
        self._world = world
        self._random = random
        self.user_id = UserId(random.randbytes(16))
        self.history = History(user_id=self.user_id)
        self.stop = asyncio.Event()
        self._attempts: list[Attempt] = []
        self._number = number

    def buy(self) -> None:
        """A purchase event, now and then twice."""
        products = [ProductId(self._random.randbytes(16)) for _ in range(self._random.randint(1, 2))]
        order = UUID(bytes=self._random.randbytes(16))
        body = json.dumps(
            {
                "user_id": format_id(self.user_id),
                "order_id": str(order),
                "items": [{"product_id": format_id(product)} for product in products],
                "purchase_timestamp": "2024-03-15T09:55:00Z",
            }
        ).encode()
        self.history.products += products
        for _ in range(self._random.choice((1, 1, 2))):
            self._world.kafka.append(PURCHASES, self.user_id, body)

    async def live(self) -> None:
        self.buy()
        await asyncio.gather(*(self._device(f"device-{number}") for number in range(self._random.randint(1, 2))))

    async def _device(self, device: str) -> None:
        while not self.stop.is_set():
            product = self._random.choice(self.history.products)
            told = await self._start(product, device)
            if told is not None:
                await self._play(told)
            await self._look()
            if self._random.random() < 0.15 and len(self.history.products) < 5:
                self.buy()
            await asyncio.sleep(self._random.uniform(0, 1))

    async def _start(self, product: ProductId, device: str) -> Told | None:
        attempt = Attempt(product=product, device=device)
        for other in self._attempts:
            if other.product == product and other.device != device:
                attempt.contested = other.contested = True
        self._attempts.append(attempt)
        told = await self._started(product, device)
        self._attempts.remove(attempt)
        if told is not None and attempt.contested:
            told.may_have_ended = True
        return told

    async def _started(self, product: ProductId, device: str) -> Told | None:
        command_id = CommandId(self._random.randbytes(16))
        self.history.starts += 1
        for told in self.history.sessions.values():
            if told.session.product_id == product and told.session.device_id != device:
                told.may_have_ended = True  # from now on, should this start take it over
        while not self.stop.is_set():
            reply = await self._ask(StartSession(product, device), command_id)
            match reply:
                case SessionIsLive(session=session):
                    told = self.history.sessions.setdefault(
                        session.session_id, Told(session=session, last_accepted=session.started_at)
                    )
                    told.command_id = command_id
                    return told
                case Refused(code="LIBRARY_ITEM_NOT_FOUND" | "LIVE_SESSION_LIMIT_REACHED"):
                    return None
                case Refused():
                    self._wrong(f"start refused as {reply.code}")
                    return None
            await asyncio.sleep(self._random.uniform(0.05, 0.5))
        return None

    async def _play(self, told: Told) -> None:
        for _ in range(self._random.randint(0, 6)):
            await asyncio.sleep(self._random.uniform(0.1, BEAT_EVERY_S))
            if not await self._beat(told) or self.stop.is_set():
                return
            if self._random.random() < 0.5:
                await self._look_at(told)
        if self._random.random() < 0.15:
            told.may_have_ended = True
            return
        await self._end(told)
        if self._random.random() < 0.1:
            await self._deliver_start_again(told)

    async def _deliver_start_again(self, told: Told) -> None:
        """A network may deliver a request twice, the second time long after: it must change nothing (promise 2)."""
        command = StartSession(told.session.product_id, told.session.device_id)
        reply = await self._ask(command, told.command_id)
        if isinstance(reply, SessionIsLive) and reply.session.session_id != told.session.session_id:
            self._wrong("a start that was delivered twice started twice")

    async def _beat(self, told: Told) -> bool:
        """Until the beat is answered; False when the session is over."""
        while True:
            reply = await self._ask(Heartbeat(told.session.session_id))
            match reply:
                case HeartbeatCounted(accepted_at=at):
                    if told.ended is not None or told.refused_as_ended:
                        self._wrong("a session beats on after its end was acknowledged")
                    told.last_accepted = max(told.last_accepted, at)
                    return True
                case Refused(code="SESSION_ENDED"):
                    told.refused_as_ended = True
                    if not told.may_have_ended and told.ended is None:
                        self._wrong("a session that was beating was ended")
                    return False
                case Refused():
                    self._wrong(f"beat refused as {reply.code}")
                    return False
            await asyncio.sleep(self._random.uniform(0.05, 0.5))

    async def _end(self, told: Told) -> None:
        while True:
            reply = await self._ask(EndSession(told.session.session_id))
            match reply:
                case SessionIsOver(session=ended):
                    if told.ended is not None and told.ended != ended:
                        self._wrong("an end was answered in two ways")
                    if ended.end_reason == "timeout" and not told.may_have_ended:
                        self._wrong("a session that was beating was timed out")
                    told.ended = ended
                    return
                case Refused():
                    self._wrong(f"end refused as {reply.code}")
                    return
            told.may_have_ended = told.may_have_ended or reply is None
            await asyncio.sleep(self._random.uniform(0.05, 0.5))

    async def _look_at(self, told: Told) -> None:
        """A read right after a beat, maybe through the other door, shows that beat (promise 5)."""
        accepted = told.last_accepted
        reply = await self._ask(ListLiveSessions())
        if not isinstance(reply, LiveSessions) or told.may_have_ended:
            return
        shown = [one for one in reply.sessions if one.session_id == told.session.session_id]
        if not shown or shown[0].last_heartbeat_at < accepted:
            self._wrong("a read does not show an acknowledged beat")

    async def _look(self) -> None:
        """Reads are never older than what was acknowledged before (promise 5)."""
        known: dict[ProductId, int] = {}
        for told in self.history.sessions.values():
            if told.ended is not None:
                known[told.session.product_id] = known.get(told.session.product_id, 0) + told.ended.duration_s
        played = {told.session.product_id for told in self.history.sessions.values()}
        over = {told.session.session_id for told in self.history.sessions.values() if told.ended is not None}
        reply = await self._ask(ListItems(limit=100))
        if isinstance(reply, ItemsPage):
            totals = {item.product_id: item.total_playtime_s for item in reply.items}
            if not played <= totals.keys():
                self._wrong("a read lacks an item that was played")
            if any(totals.get(product, -1) < seconds for product, seconds in known.items()):
                self._wrong("a read shows less play than was acknowledged")
        live = await self._ask(ListLiveSessions())
        if isinstance(live, LiveSessions) and over & {session.session_id for session in live.sessions}:
            self._wrong("a read shows a session as live whose end was acknowledged")

    async def _ask(self, command: object, command_id: CommandId | None = None) -> Reply | None:
        door = f"door-{self._random.randrange(DOORS)}"
        request = Request(user_id=self.user_id, command=command, command_id=command_id)  # type: ignore[arg-type]
        reply = await self._world.ask(door, request)
        if isinstance(reply, Failed):
            self._wrong(f"a rule raised at {type(command).__name__}")
        if reply is None or isinstance(reply, Overloaded | Unavailable):
            self.history.silences += 1
            return None if reply is None else reply
        self.history.answers += 1
        return reply

    def _wrong(self, what: str) -> None:
        now = asyncio.get_running_loop().time()
        self.history.violations.append(f"{now:.3f} user {self._number}: {what}")
