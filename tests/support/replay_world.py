"""What a replay plays against in tests: the real door before ``RuleEngine`` on a clock that flows, events that reach it
at once, and its memory as the tables."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from aiokafka.errors import KafkaTimeoutError

from actors.domain.commands import AddPurchase, Command, EndSession, Heartbeat, StartSession
from actors.domain.ids import Micros, OrderId, ProductId, UserId, format_id, parse_id, parse_time
from actors.domain.replies import HeartbeatCounted, Reply, Unavailable
from cluster.replay.check import Item, Session
from tests.support.door import bearer, open_door
from tests.support.rule_engine import NOON, RuleEngine


class FlowingEngine(RuleEngine):
    """Service time is real time, ``rate`` times as fast.

    ``end_sessions_before`` are kinds of commands whose user's live sessions end by time-out just before one of them is
    decided, once per entry. ``accepted`` is the latest answer to each session's beats.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.most_live_at_once = 0
        self.unavailable_for = 0
        self.accepted: dict[bytes, Micros] = {}
        self.end_sessions_before: list[type[StartSession | Heartbeat | EndSession]] = []
        self._began: float | None = None

    async def call(self, user_id: UserId, command: Command, **options: Any) -> Reply:
        if self.unavailable_for:
            self.unavailable_for -= 1
            return Unavailable("nobody there")
        if type(command) in self.end_sessions_before and self.users[user_id].live:
            self.end_sessions_before.remove(type(command))
            self.fall_silent(user_id)
        self.catch_up()
        reply = await super().call(user_id, command, **options)
        if isinstance(command, Heartbeat) and isinstance(reply, HeartbeatCounted):
            self.accepted[command.session_id] = reply.accepted_at
        self.calls.clear()
        self.most_live_at_once = max([self.most_live_at_once, *(len(user.live) for user in self.users.values())])
        return reply

    def catch_up(self) -> None:
        real = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = real
        self.now = Micros(max(self.now, NOON + int((real - self._began) * self.rate * 1_000_000)))

    def fall_silent(self, user_id: UserId) -> None:
        """The user's live sessions end at their last sign of life, as if nothing had been heard for too long."""
        now = self.now
        for session in self.users[user_id].live:
            self.now = Micros(session.last_heartbeat_at + self.policy.session_timeout_s * 1_000_000)
            self.decide(user_id, Heartbeat(session.session_id))
        self.now = now


class ConnectionCut(Exception):
    """The wire is cut here."""


class FlakyWire:
    """A TCP proxy that closes the connection instead of passing a request on, or instead of its answer: each with
    probability ``trouble`` / 2."""

    def __init__(self, port: int, trouble: float) -> None:
        self._port = port
        self._trouble = trouble
        self._random = Random(7)
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, up_writer))
                both.create_task(self._pass_on(up_reader, writer))
        except* (OSError, ConnectionCut):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()
            up_writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Raises ``ConnectionCut`` when either side has closed, or by chance."""
        while (data := await reader.read(65536)) and self._random.random() >= self._trouble / 2:
            writer.write(data)
        raise ConnectionCut


class ReplayWorld:
    """Fulfils the replay's ``Topic`` and ``Tables``. ``kafka_trouble``: the share of events that arrive although
    Kafka's answer is lost."""

    def __init__(self, engine: FlowingEngine, url: str, kafka_trouble: float) -> None:
        self.engine = engine
        self.url = url
        self.events_received: list[dict[str, Any]] = []
        self._kafka_trouble = kafka_trouble
        self._random = Random(8)

    @staticmethod
    def headers_of(user_id: str) -> dict[str, str]:
        return bearer(UserId(parse_id(user_id)))

    @asynccontextmanager
    async def topic(self, _retries: object) -> AsyncIterator["ReplayWorld"]:
        yield self

    async def send(self, key: bytes, value: bytes) -> None:
        event = json.loads(value)
        data = event["data"]
        assert key.decode() == data["user_id"]
        self.events_received.append(event)
        products = tuple(ProductId(parse_id(item["product_id"])) for item in data["items"])
        purchase = AddPurchase(OrderId(parse_id(data["order_id"])), products, parse_time(data["purchase_timestamp"]))
        self.engine.decide(UserId(parse_id(data["user_id"])), purchase)
        if self._random.random() < self._kafka_trouble:
            raise KafkaTimeoutError

    async def read(self, user_ids: Sequence[str]) -> tuple[list[Item], list[Session]]:
        users = [(user_id, self.engine.users[UserId(parse_id(user_id))]) for user_id in user_ids]
        items = [
            Item(user_id=user_id, product_id=format_id(item.product_id), total_seconds=item.total_playtime_s)
            for user_id, user in users
            if user.library is not None
            for item in user.library.items.values()
        ]
        return items, [session for user_id in user_ids for session in self.sessions_of(user_id)]

    def sessions_of(self, user_id: str) -> list[Session]:
        return [
            Session(
                session_id=format_id(record.session_id),
                user_id=user_id,
                product_id=format_id(record.product_id),
                started_at=record.started_at,
                last_heartbeat_at=record.last_heartbeat_at,
                ended_at=record.ended_at,
                duration_seconds=record.duration_s,
                client_session_id=None if record.client_id is None else format_id(record.client_id),
            )
            for record in self.engine._records(UserId(parse_id(user_id)))
        ]


@asynccontextmanager
async def replay_world(
    *, rate: float, wire_trouble: float = 0.0, kafka_trouble: float = 0.0
) -> AsyncIterator[ReplayWorld]:
    engine = FlowingEngine(rate)
    with TemporaryDirectory(prefix="lib-") as run_dir:
        async with open_door(Path(run_dir), engine=engine) as door:
            if not wire_trouble:
                yield ReplayWorld(engine, f"http://127.0.0.1:{door.port}", kafka_trouble)
                return
            async with FlakyWire(door.port, wire_trouble).running() as port:
                yield ReplayWorld(engine, f"http://127.0.0.1:{port}", kafka_trouble)
