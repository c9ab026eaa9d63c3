"""Players: what they do, and everything they were told. They know nothing of the inside.

A client talks to either door, tries again after silence or a 503 with the same command id, and beats at least every two
seconds while it plays. It writes down what was acknowledged; that is all the checker believes.
"""

import asyncio
import json
from random import Random
from uuid import UUID

from msgspec import Struct

from actors.copies.answering import FromCopy
from actors.domain.commands import EndSession, Heartbeat, StartSession
from actors.domain.ids import CommandId, ProductId, SessionId, UserId, format_id
from actors.domain.model import EndedSession
from actors.domain.remembering import client_key
from actors.domain.replies import (
    Failed,
    HeartbeatCounted,
    Overloaded,
    Refused,
    Reply,
    SessionIsLive,
    SessionIsOver,
    Unavailable,
)
from actors.ingress.payloads import PURCHASED
from cluster.verdict.history import End, History, Told
from serve_app.many_heartbeats import Beat
from tests.simulation.curator import Curator
from tests.simulation.luggage import Luggage
from tests.simulation.reader import Reader
from tests.simulation.world import DOOR_NAMES, TOPICS, Request, World

BEAT_EVERY_S = 1.0


class Attempt(Struct, kw_only=True, eq=False):
    """A start on its way; ``contested`` by another device's start of the same product."""

    product: ProductId
    device: str
    contested: bool = False


class Player:
    """One user with one or two devices. Some users only play, so that what is at the heart of the engine is not thinned
    out by all that others do beside it."""

    def __init__(self, world: World, number: int, random: Random) -> None:
        self._world = world
        self._random = random
        self.user_id = UserId(random.randbytes(16))
        loop = asyncio.get_running_loop()
        self.history = History(user_id=self.user_id, name=f"user {number}", now=loop.time)
        self.answers = 0
        self.silences = 0
        self.stop = asyncio.Event()
        self._attempts: list[Attempt] = []
        self._played: list[ProductId] = []
        self._luggage = Luggage(self.history, self._played, self._ask, random, self.stop)
        self._travels, self._curates, self._watches = (random.random() < odds for odds in (0.4, 0.4, 0.6))
        self._door, self._door_of_screen = DOOR_NAMES if world.screens_apart else (None, None)
        self._reader = Reader(world, self.history, random, self._ask, self.stop)
        self.curator = Curator(world, self.history, Random(random.random()), self._ask, self.stop)

    @property
    def copies(self) -> int:
        return self._reader.copies

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
        self._played += products
        for _ in range(self._random.choice((1, 1, 2))):
            self._world.kafka.append(TOPICS[PURCHASED], self.user_id, body)

    async def live(self) -> None:
        self.buy()
        devices = [self._device(f"device-{number}") for number in range(self._random.randint(1, 2))]
        if self._watches:
            devices.append(self._reader.watch(self._door_of_screen))
        if self._curates:
            devices.append(self.curator.live())
        await asyncio.gather(*devices)

    async def _device(self, device: str) -> None:
        while not self.stop.is_set():
            product = self._random.choice(self._played)
            told = await self._start(product, device)
            if told is not None:
                await self._play(told)
                if self._travels and self._random.random() < 0.4:
                    await self._luggage.bring(told)
            if self._travels and self._random.random() < 0.3:
                await self._luggage.deliver_again()
            over = [one for one in self.history.sessions.values() if one.ended is not None and one.command_id]
            if over and self._random.random() < 0.3:
                await self._deliver_start_again(self._random.choice(over))
            await self._reader.look()
            if self._random.random() < 0.15 and len(self._played) < 5:
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
        if self._random.random() < 0.5:
            command_id = client_key(self.user_id, command_id, b"start")
        self.history.starts += 1
        self.history.other_device_starts(product, device)
        while not self.stop.is_set():
            reply = await self._ask(StartSession(product, device), command_id)
            match reply:
                case SessionIsLive(session=session):
                    told = self.history.started(
                        session_id=session.session_id,
                        product_id=session.product_id,
                        device_id=session.device_id,
                        started_at=session.started_at,
                    )
                    told.command_id = command_id
                    return told
                case Refused(code="LIBRARY_ITEM_NOT_FOUND" | "LIVE_SESSION_LIMIT_REACHED"):
                    return None
                case Refused():
                    self.history.wrong(f"start refused as {reply.code}")
                    return None
            await asyncio.sleep(self._random.uniform(0.05, 0.5))
        return None

    async def _play(self, told: Told) -> None:
        for _ in range(self._random.randint(0, 6)):
            await asyncio.sleep(self._random.uniform(0.1, BEAT_EVERY_S))
            if not await self._beat(told):
                return
            if self.stop.is_set():
                told.may_have_ended = True
                return
            if self._random.random() < 0.5:
                await self._reader.look_at(told, self._door_of_screen)
            if self._travels and self._random.random() < 0.2:
                await self._luggage.bring(told)
        if self._random.random() < 0.15:
            told.may_have_ended = True
            return
        await self._end(told)
        if self._random.random() < 0.1:
            await self._deliver_start_again(told)

    async def _deliver_start_again(self, told: Told) -> None:
        """A network may deliver a request twice, the second time long after: it must change nothing (promise 2)."""
        command = StartSession(told.product_id, told.device_id)
        reply = await self._ask(command, told.command_id)
        if isinstance(reply, SessionIsLive) and reply.session.session_id != told.session_id:
            self.history.wrong("a start that was delivered twice started twice")

    async def _beat(self, told: Told) -> bool:
        """Until the beat is answered; False when the session is over."""
        while True:
            if self._travels and self._random.random() < 0.4:
                reply = await self._beat_with_others(told)
            else:
                reply = await self._ask(Heartbeat(told.session_id))
            match reply:
                case HeartbeatCounted(accepted_at=at):
                    self.history.beat_counted(told, at)
                    return True
                case Refused(code="SESSION_ENDED"):
                    self.history.beat_refused_as_ended(told)
                    return False
                case Refused():
                    self.history.wrong(f"beat refused as {reply.code}")
                    return False
            await asyncio.sleep(self._random.uniform(0.05, 0.5))

    async def _beat_with_others(self, told: Told) -> Reply | None:
        """One call for all that is played now and for what never was; the answers of the others are theirs."""
        others = [one for one in self.history.sessions.values() if one.must_be_live and one is not told]
        beats = [Beat(self.user_id, one.session_id) for one in (told, *others)]
        beats.append(Beat(self.user_id, SessionId(self._random.randbytes(16))))
        self._random.shuffle(beats)
        key = client_key(self.user_id, self._random.randbytes(8), b"beats") if self._random.random() < 0.5 else None
        door = self._door or self._random.choice(DOOR_NAMES)
        replies = await self._world.beat_many(door, beats, key)
        if replies is None:
            self.silences += 1
            return None
        absent = replies[next(n for n, beat in enumerate(beats) if beat.session_id not in self.history.sessions)]
        if not isinstance(absent, Refused | Overloaded | Unavailable):
            self.history.wrong("a session that never was beats")
        reply = replies[beats.index(Beat(self.user_id, told.session_id))]
        self.answers += 1
        return None if isinstance(reply, Overloaded | Unavailable) else reply

    async def _end(self, told: Told) -> None:
        while True:
            reply = await self._ask(EndSession(told.session_id))
            match reply:
                case SessionIsOver(session=ended):
                    self.history.end_answered(told, end_of(ended))
                    return
                case Refused():
                    self.history.wrong(f"end refused as {reply.code}")
                    return
            told.may_have_ended = told.may_have_ended or reply is None
            await asyncio.sleep(self._random.uniform(0.05, 0.5))

    async def _ask(
        self, command: object, command_id: CommandId | None = None, timeout_s: float = 2.0, door: str | None = None
    ) -> Reply | FromCopy | None:
        door = door or self._door or self._random.choice(DOOR_NAMES)
        request = Request(
            user_id=self.user_id,
            command=command,  # type: ignore[arg-type]
            command_id=command_id,
            timeout_s=timeout_s,
        )
        reply = await self._world.ask(door, request)
        if isinstance(reply, Failed):
            self.history.wrong(f"a rule raised at {type(command).__name__}")
        if reply is None or isinstance(reply, Overloaded | Unavailable):
            self.silences += 1
            return None if reply is None else reply
        self.answers += 1
        return reply


def end_of(session: EndedSession) -> End:
    return End(ended_at=session.ended_at, duration_s=session.duration_s, reason=session.end_reason)
