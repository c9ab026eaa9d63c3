"""A little service for replays: the real rules behind the specification's HTTP interface, in memory, with faults on
request. It has no journal, no hosts and no flush, so its answers are the tables."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from uuid import UUID

import pytest
from aiohttp import web
from aiokafka.errors import KafkaTimeoutError

from actors.domain.commands import AddPurchase, Command, EndSession, Heartbeat, ListItems, StartSession
from actors.domain.context import Context, Policy
from actors.domain.ids import format_id, format_time, parse_id, parse_time
from actors.domain.model import EndedSession, Library, LiveSession, User
from actors.domain.replies import (
    Answer,
    HeartbeatCounted,
    ItemsPage,
    Refused,
    SessionIsLive,
    SessionIsOver,
)
from actors.domain.user import decide, evolve
from cluster.replay.check import Item, Session

STATUS_OF = {
    "LIBRARY_ITEM_NOT_FOUND": 404,
    "SESSION_NOT_FOUND": 404,
    "SESSION_ENDED": 409,
    "LIVE_SESSION_LIMIT_REACHED": 422,
}


class LittleService:
    """``trouble`` is the share of requests that meet a 503, find the connection closed or lose their answer;
    ``kafka_trouble`` the share of events that Kafka takes without saying so."""

    def __init__(self, *, rate: float, trouble: float = 0.0, kafka_trouble: float = 0.0) -> None:
        self.url = ""
        self.rate = rate
        self.trouble = trouble
        self.kafka_trouble = kafka_trouble
        self.users: dict[bytes, User] = {}
        self.events_received: list[dict] = []
        self.requests = 0
        self.most_live_at_once = 0
        self._random = Random(7)
        self._ids = Random(8)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application()
        root = "/api/v1/library"
        app.router.add_get(root + "/items", self._route(self._items))
        app.router.add_post(root + "/playtime/sessions/start", self._route(self._start))
        app.router.add_post(root + "/playtime/sessions/{id}/heartbeat", self._route(self._beat))
        app.router.add_post(root + "/playtime/sessions/{id}/end", self._route(self._end))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            await runner.cleanup()

    @asynccontextmanager
    async def topic(self, _retries: object) -> AsyncIterator["LittleService"]:
        yield self

    async def send(self, key: bytes, value: bytes) -> None:
        event = json.loads(value)
        self.events_received.append(event)
        data = event["data"]
        assert key.decode() == data["user_id"]
        products = tuple(parse_id(item["product_id"]) for item in data["items"])
        purchase = AddPurchase(parse_id(data["order_id"]), products, parse_time(data["purchase_timestamp"]))
        self.ask(parse_id(data["user_id"]), purchase)
        if self._random.random() < self.kafka_trouble:
            raise KafkaTimeoutError

    async def read(self, user_ids: list[str]) -> tuple[list[Item], list[Session]]:
        items: list[Item] = []
        sessions: list[Session] = []
        for user_id in user_ids:
            user = self.users.get(parse_id(user_id)) or User(library=Library())
            items.extend(_item(user_id, item) for item in user.library.items.values())
            sessions.extend(_session(user_id, session) for session in user.live)
            sessions.extend(_session(user_id, session) for session in user.ended.values() if session is not None)
        return items, sessions

    def ask(self, user_id: bytes, command: Command) -> Answer:
        user = self.users.get(user_id) or User(library=Library())
        events, answer = decide(user, command, self._context())
        for event in events:
            user = evolve(user, event)
        self.users[user_id] = user
        self.most_live_at_once = max(self.most_live_at_once, len(user.live))
        return answer

    def end_all_silently(self) -> None:
        """Every live session ends at its last proof of life, as if its user had been silent for too long."""
        for user_id, user in self.users.items():
            for session in user.live:
                context = self._context()
                late = Context(
                    now=session.last_heartbeat_at + 10**9,
                    real_now=context.real_now,
                    heard_since=0,
                    interval_s=60,
                    policy=Policy(),
                    new_id=context.new_id,
                )
                events, _ = decide(self.users[user_id], Heartbeat(session.session_id), late)
                for event in events:
                    self.users[user_id] = evolve(self.users[user_id], event)

    def _context(self) -> Context:
        now = int(asyncio.get_running_loop().time() * self.rate * 1_000_000)
        return Context(
            now=now,
            real_now=now,
            heard_since=0,
            interval_s=60,
            policy=Policy(),
            new_id=lambda: self._ids.randbytes(16),
        )

    def _route(self, handle: Callable[[bytes, web.Request, bytes], web.Response]) -> Callable:
        async def routed(request: web.Request) -> web.Response:
            self.requests += 1
            user_id = parse_id(request.headers["Authorization"].removeprefix("Bearer "))
            body = await request.read()
            fate = self._random.random() / self.trouble if self.trouble else 1.0
            if fate < 1 / 3:
                return web.Response(status=503, headers={"Retry-After": "0"})
            if fate < 2 / 3:
                request.transport.close()
                return web.Response()
            response = handle(body, request, user_id)
            if fate < 1:
                request.transport.close()
            return response

        return routed

    def _items(self, _body: bytes, request: web.Request, user_id: bytes) -> web.Response:
        page, limit = int(request.query["page"]), int(request.query["limit"])
        answer = self.ask(user_id, ListItems(page=page, limit=limit))
        assert isinstance(answer, ItemsPage)
        data = [
            {
                "type": "libraryItem",
                "id": format_id(item.item_id),
                "attributes": {
                    "product_id": format_id(item.product_id),
                    "title": None,
                    "total_playtime_seconds": item.total_playtime_s,
                },
            }
            for item in answer.items
        ]
        return web.json_response({"data": data, "meta": {"total_items": answer.total_items}})

    def _start(self, body: bytes, _request: web.Request, user_id: bytes) -> web.Response:
        attributes = json.loads(body)["data"]["attributes"]
        command = StartSession(parse_id(attributes["product_id"]), attributes["device_id"], attributes["platform"])
        answer = self.ask(user_id, command)
        if not isinstance(answer, SessionIsLive):
            return _refusal(answer)
        headers = {"Library-Next-Heartbeat-Seconds": str(answer.session.interval_s)}
        shown = _session_body(answer.session)
        return web.json_response(shown, status=200 if answer.resumed else 201, headers=headers)

    def _beat(self, _body: bytes, request: web.Request, user_id: bytes) -> web.Response:
        answer = self.ask(user_id, Heartbeat(parse_id(request.match_info["id"])))
        if not isinstance(answer, HeartbeatCounted):
            return _refusal(answer)
        headers = {
            "Library-Accepted-At": format_time(answer.accepted_at),
            "Library-Next-Heartbeat-Seconds": str(answer.interval_s),
        }
        return web.Response(status=204, headers=headers)

    def _end(self, _body: bytes, request: web.Request, user_id: bytes) -> web.Response:
        answer = self.ask(user_id, EndSession(parse_id(request.match_info["id"])))
        if not isinstance(answer, SessionIsOver):
            return _refusal(answer)
        return web.json_response(_session_body(answer.session))


def _refusal(answer: Answer) -> web.Response:
    assert isinstance(answer, Refused)
    status = STATUS_OF[answer.code]
    return web.json_response({"errors": [{"status": str(status), "code": answer.code}]}, status=status)


def _session_body(session: LiveSession | EndedSession) -> dict:
    attributes = {"product_id": format_id(session.product_id), "start_time": format_time(session.started_at)}
    if isinstance(session, EndedSession):
        attributes |= {
            "end_time": format_time(session.ended_at),
            "duration_seconds": session.duration_s,
            "end_reason": session.end_reason,
        }
    return {"data": {"type": "playtimeSession", "id": format_id(session.session_id), "attributes": attributes}}


def _item(user_id: str, item) -> Item:
    product_id = str(UUID(bytes=item.product_id))
    return Item(user_id=user_id, product_id=product_id, total_seconds=item.total_playtime_s)


def _session(user_id: str, session: LiveSession | EndedSession) -> Session:
    ended = isinstance(session, EndedSession)
    return Session(
        session_id=format_id(session.session_id),
        user_id=user_id,
        product_id=format_id(session.product_id),
        started_at=session.started_at,
        last_heartbeat_at=session.last_heartbeat_at,
        ended_at=session.ended_at if ended else None,
        duration_seconds=session.duration_s if ended else None,
    )


@pytest.fixture
def little_service() -> Callable[..., LittleService]:
    """Makes a little service; ``async with service.serving()`` opens its port."""
    return LittleService
