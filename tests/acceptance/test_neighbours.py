"""The running service while its neighbours or its cache are slow, wrong or away: their lines of the outage table."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from redis import Redis

from cluster.dev import seeds
from cluster.dev.neighbours.parts import Neighbour
from tests.support import events
from tests.support.running_service import HttpAnswer, RunningService

ITEMS = "/api/v1/library/items"
SESSIONS = "/api/v1/library/playtime/sessions"
PRODUCT_UPDATED = "catalog.product.updated.v1"
TIMEOUT_S = 60.0
HALF_LIFE, SUPER_GAME = seeds.product_id("Half-Life 3"), seeds.product_id("Супер Игра X")
TANKS = seeds.product_id("Танки и Туманы")


class Player:
    """A user who bought the two seeded games."""

    def __init__(self, service: RunningService) -> None:
        self.user_id = uuid4()
        self._service = service
        self._token = service.token(self.user_id)
        brokers = service.stack.environment()["KAFKA_BROKERS"]
        asyncio.run(events.send_purchase(brokers, self.user_id, [HALF_LIFE, SUPER_GAME]))
        service.until(lambda: len(self.titles()) == 2, TIMEOUT_S)

    def page(self, query: str = "") -> HttpAnswer:
        return self._service.get(f"{ITEMS}{query}", self._token)

    def titles(self, query: str = "") -> list[str | None]:
        answer = self.page(query)
        return [one["attributes"]["title"] for one in answer.json()["data"]] if answer.status == 200 else []

    def item_id(self, product_id: UUID) -> str:
        items = self.page().json()["data"]
        return next(one["id"] for one in items if one["attributes"]["product_id"] == str(product_id))

    def post(self, path: str, body: Any = None) -> HttpAnswer:
        return self._service.request("POST", path, self._token, body)

    def add_free(self, product_id: UUID) -> HttpAnswer:
        attributes = {"product_id": str(product_id)}
        return self.post(ITEMS, {"data": {"type": "libraryItemCreation", "attributes": attributes}})

    def known_titles(self) -> list[str | None]:
        """A page does not wait long for what its host has never been asked for: the next one has it."""
        self._service.until(lambda: None not in self.titles(), TIMEOUT_S)
        return self.titles()

    def plays(self) -> bool:
        """A whole session, start to end."""
        body = {"data": {"type": "playtimeSessionStart", "attributes": {"product_id": str(HALF_LIFE)}}}
        started = self.post(f"{SESSIONS}/start", body)
        if started.status not in (200, 201):
            return False
        path = f"{SESSIONS}/{started.json()['data']['id']}"
        return [self.post(f"{path}/heartbeat").status, self.post(f"{path}/end").status] == [204, 200]


@pytest.fixture
def player(service: RunningService) -> Player:
    return Player(service)


@contextmanager
def frozen(pid: int | None) -> Iterator[None]:
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def troubled(part: Neighbour, **trouble: Any) -> Iterator[None]:
    """The server misbehaves so, and behaves again afterwards."""

    def change(known: Any) -> None:
        for name, value in trouble.items():
            setattr(known, name, value)

    part.change(change)
    try:
        yield
    finally:
        part.change(lambda known: [setattr(known, "delay_s", 0.0), setattr(known, "trouble", "")])


def is_unavailable(answer: HttpAnswer) -> bool:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return answer.status == 503 and int(headers["retry-after"]) >= 1


def test_titles_come_from_the_catalog_and_follow_its_news(service: RunningService, player: Player) -> None:
    """R-LIB-4: in the order of titles, found by a part of one, and refreshed by the catalog's own event."""
    service.until(lambda: player.titles() == ["Half-Life 3", "Супер Игра X"], TIMEOUT_S)
    assert player.titles(f"?search={quote('супер')}") == ["Супер Игра X"]
    edition = f"Супер Игра X - Издание Года {time.time_ns()}"

    def rename(known: Any) -> None:
        at_ms = time.time_ns() // 1_000_000
        known.products = [
            type(one)(product_id=one.product_id, title=edition, updated_at=at_ms)
            if one.title.startswith("Супер")
            else one
            for one in known.products
        ]

    service.stack.catalog.change(rename)
    news = {"product_id": str(SUPER_GAME), "updated_fields": ["title"], "new_title": edition}
    value = events.structured(PRODUCT_UPDATED, news, time=datetime.now(UTC).isoformat())
    brokers = service.stack.environment()["KAFKA_BROKERS"]
    asyncio.run(events.send(brokers, PRODUCT_UPDATED, (str(SUPER_GAME).encode(), value)))
    service.until(lambda: player.titles() == ["Half-Life 3", edition], TIMEOUT_S)
    assert player.titles(f"?search={quote('года')}") == [edition]


def test_without_the_catalog_titles_stay_and_only_the_unknown_is_unavailable(
    service: RunningService, player: Player
) -> None:
    """Catalog slow, failing, wrong, dead: cached metadata, a breaker, 503 for an unknown product (outage table)."""
    catalog = service.stack.catalog
    before = player.known_titles()
    for trouble in ({"delay_s": 60.0}, {"trouble": "UNAVAILABLE"}, {"trouble": "wrong"}):
        with troubled(catalog, **trouble):
            assert is_unavailable(player.add_free(uuid4())), trouble
            assert player.titles() == before
            assert player.plays()
    service.until(lambda: player.add_free(TANKS).status in (200, 201), TIMEOUT_S)
    former = catalog.pid
    catalog.kill()
    unknown = player.add_free(uuid4())
    assert is_unavailable(unknown) or (
        unknown.status == 404 and catalog.pid not in (None, former)
    )  # it is back already
    assert player.titles()[:1] == before[:1]
    service.until(lambda: catalog.pid not in (None, former), TIMEOUT_S)
    service.until(lambda: player.add_free(uuid4()).status == 404, TIMEOUT_S)


def test_without_redis_everything_goes_on(service: RunningService, player: Player) -> None:
    """Redis standing still, dead, and back empty: nothing is seen of it (outage table, R-DB-2)."""
    valkey = service.stack.valkey
    before = player.known_titles()
    with frozen(valkey.pid):
        assert player.plays()
        assert player.titles() == before
        others = [Player(service) for _ in range(5)]  # of all hosts, also of one that nobody has asked for these titles
        for other in others:
            service.until(lambda other=other: other.titles() == before, TIMEOUT_S)
    former = valkey.pid
    valkey.kill()
    assert player.plays()
    assert player.titles() == before
    service.until(lambda: valkey.pid not in (None, former), TIMEOUT_S)
    assert player.plays()


def test_without_the_download_service_installing_alone_is_unavailable(service: RunningService, player: Player) -> None:
    """R-LIB-6 and the outage table."""
    download = service.stack.download
    path = f"{ITEMS}/{player.item_id(HALF_LIFE)}/install"
    with troubled(download, trouble="UNAVAILABLE"):
        assert is_unavailable(player.post(path))
        assert player.plays()
    service.until(lambda: player.post(path).status == 202, TIMEOUT_S)
    asked = [tuple(one) for one in download.known.installs]
    assert asked.count((str(player.user_id), str(HALF_LIFE))) == 1


def test_an_account_that_is_not_active_is_granted_nothing(service: RunningService, player: Player) -> None:
    """R-CFG-2"""
    account = service.stack.account
    account.change(lambda known: known.inactive.append(str(player.user_id)))
    assert player.add_free(TANKS).status == 403
    with troubled(account, trouble="UNAVAILABLE"):
        assert is_unavailable(player.add_free(TANKS))
    account.change(lambda known: known.inactive.clear())
    service.until(lambda: player.add_free(TANKS).status in (200, 201), TIMEOUT_S)


def test_while_hosts_are_away_the_page_comes_from_the_copy_and_says_so(service: RunningService, player: Player) -> None:
    """R-DB-2, promise 5: with the last play in it, marked; writes are refused; afterwards it is fresh again."""
    assert player.plays()
    played = player.page().json()["data"]
    service.until(lambda: last_play_is_copied(service, player), TIMEOUT_S)
    pids = [*service.pids("host-0"), *service.pids("host-1")]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        answer = player.page()
        assert answer.status == 200, answer.body
        meta = answer.json()["meta"]
        assert meta["stale_since"]
        assert answer.json()["data"] == played
        assert not player.plays()
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    service.until(lambda: player.plays() and "stale_since" not in player.page().json()["meta"], TIMEOUT_S)


def last_play_is_copied(service: RunningService, player: Player) -> bool:
    variables = service.stack.valkey.environment()
    host, port = variables["REDIS_ADDR"].split(":")
    with Redis(host=host, port=int(port), password=variables["REDIS_PASSWORD"]) as redis:
        items: Any = redis.hget(f"library:{player.user_id}:items", "items")
    return items is not None and any(one["last_ended_at"] for one in json.loads(items)["items"])
