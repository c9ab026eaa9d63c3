"""A player's whole library life over HTTP and Kafka, in the running service with every neighbour (R-LIB-1 to R-LIB-6,
R-LIB-8, R-LIB-9, R-EVT-1 to R-EVT-3, R-EVT-6)."""

import asyncio
import json
import urllib.parse
from typing import Any
from uuid import UUID, uuid4

from cluster.dev import seeds
from tests.support import events
from tests.support.running_service import RunningService

BASE = "/api/v1/library"
ITEMS, CATEGORIES, SESSIONS = f"{BASE}/items", f"{BASE}/categories", f"{BASE}/playtime/sessions"
EVENTS = "library.events.v1"
APPEAR_TIMEOUT_S = 30.0
AT = "2024-03-15T09:55:00Z"

HALF_LIFE, SUPER_GAME = (seeds.product_id(title) for title in seeds.BOUGHT[:2])
TANKS = seeds.product_id(seeds.FREE[0])


class Life:
    """One player, through the door and the topics alone."""

    def __init__(self, service: RunningService) -> None:
        self._service = service
        self.user_id = uuid4()
        self._token = service.token(self.user_id)
        self._brokers = service.stack.environment()["KAFKA_BROKERS"]

    def ask(self, method: str, path: str, data: Any = None, expect: int = 200) -> Any:
        answer = self._service.request(method, path, self._token, None if data is None else {"data": data})
        assert answer.status == expect, (method, path, answer.status, answer.body)
        return answer.json() if answer.body else None

    def items(self, **query: Any) -> list[dict[str, Any]]:
        found = self.ask("GET", f"{ITEMS}?{urllib.parse.urlencode(query)}")["data"]
        return list(found)

    def titles(self, **query: Any) -> list[str | None]:
        return [item["attributes"]["title"] for item in self.items(**query)]

    def hears(self, topic: str, **payload: Any) -> None:
        """An event about this player, twice, as Kafka may deliver it."""
        body = events.structured(topic, {"user_id": str(self.user_id), **payload})
        message = (str(self.user_id).encode(), body)
        asyncio.run(events.send(self._brokers, topic, message, message))

    def bought(self, topic: str, id_name: str, time_name: str, product: UUID, order: UUID) -> None:
        items = [{"product_id": str(product)}]
        self.hears(topic, **{id_name: str(order), "items": items, time_name: AT})

    def until(self, condition: Any) -> None:
        self._service.until(condition, APPEAR_TIMEOUT_S)

    def told(self, enough: int) -> list[Any]:
        """This player's events, each checked by its schema."""

        def mine(found: list[Any]) -> list[Any]:
            unique = {one.get_id(): one for one in found if one.get_extension("partitionkey") == str(self.user_id)}
            return list(unique.values())

        read = events.read_events(self._brokers, EVENTS, lambda found: len(mine(found)) >= enough, APPEAR_TIMEOUT_S)
        return mine(asyncio.run(read))


def test_a_players_library_from_the_first_game_to_the_last_refund(service: RunningService) -> None:
    """Everything a player does is seen by the next read, told to the world once, and a refund gives nothing twice."""
    life = Life(service)
    orders = {name: uuid4() for name in ("half-life", "super", "overtaken", "again")}

    # Bought, given, and free: titles come from the catalog service.
    life.bought("payment.purchase.completed.v1", "order_id", "purchase_timestamp", HALF_LIFE, orders["half-life"])
    life.bought("payment.gift.accepted.v1", "gift_id", "accepted_timestamp", SUPER_GAME, orders["super"])
    creation = {"type": "libraryItemCreation", "attributes": {"product_id": str(TANKS)}}
    free = life.ask("POST", ITEMS, creation, expect=201)["data"]
    assert free["attributes"]["title"] == seeds.FREE[0]
    life.ask("POST", ITEMS, creation)
    life.ask("POST", ITEMS, {**creation, "attributes": {"product_id": str(uuid4())}}, expect=404)
    life.ask("POST", ITEMS, {**creation, "attributes": {"product_id": str(HALF_LIFE)}}, expect=400)
    life.until(lambda: len(life.items()) == 3)
    assert life.titles() == ["Half-Life 3", "Супер Игра X", "Танки и Туманы"]
    assert life.titles(search="ИГРА супер") == ["Супер Игра X"]
    assert life.titles(search="life", sort_by="playtime_desc") == ["Half-Life 3"]
    assert life.titles(acquisition_type="gift") == ["Супер Игра X"]
    begin = life.ask("GET", f"{ITEMS}?updated_since=1970-01-01T00:00:00Z")
    tag = service.get(ITEMS, life._token).headers["etag"]

    # Played, sorted, hidden, rated, filed.
    half_life, super_game, tanks = life.items()
    category = life.ask("POST", CATEGORIES, {"type": "userCategoryCreation", "attributes": {"name": "Лучшее"}}, 201)
    category_id = category["data"]["id"]
    start = {"type": "playtimeSessionStart", "attributes": {"product_id": str(HALF_LIFE)}}
    session = life.ask("POST", f"{SESSIONS}/start", start, 201)["data"]["id"]
    life.ask("POST", f"{SESSIONS}/{session}/end")
    assert life.titles(sort_by="last_played_desc")[0] == "Half-Life 3"
    changes = [
        {"type": "libraryItemUpdate", "id": half_life["id"], "attributes": {"category_ids": [category_id]}},
        {"type": "libraryItemUpdate", "id": super_game["id"], "attributes": {"is_hidden": True, "user_rating": 5}},
        {"type": "libraryItemUpdate", "id": str(uuid4()), "attributes": {"is_hidden": True}},
    ]
    results = life.ask("PATCH", ITEMS, changes)["data"]
    assert [result.get("error", {}).get("code") for result in results] == [None, None, "LIBRARY_ITEM_NOT_FOUND"]
    assert life.titles() == ["Half-Life 3", "Танки и Туманы"]
    assert life.titles(category_id=category_id) == ["Half-Life 3"]
    assert life.titles(include_hidden="true", sort_by="added_desc")[0] == "Танки и Туманы"
    assert service.get(ITEMS, life._token).headers["etag"] != tag

    # Installed: asked of the Download Service, told by its events; an older one changes nothing.
    life.ask("POST", f"{ITEMS}/{tanks['id']}/install", expect=202)
    status = {"product_id": str(TANKS), "timestamp": "2024-03-15T20:00:00Z"}
    life.hears("download.game.status.changed.v1", **status, status="updating")
    life.until(lambda: life.titles(status="updating") == ["Танки и Туманы"])
    life.hears("download.game.installed.v1", **{**status, "timestamp": "2024-03-15T19:00:00Z"})
    life.hears("download.game.installed.v1", **{**status, "timestamp": "2024-03-15T21:00:00Z"})
    life.until(lambda: life.titles(status="installed") == ["Танки и Туманы"])

    # Refunds: one removes, one falls back to what is free, one overtakes its purchase.
    life.bought("payment.purchase.completed.v1", "order_id", "purchase_timestamp", TANKS, orders["again"])
    life.until(lambda: life.titles(acquisition_type="purchase") == ["Half-Life 3", "Танки и Туманы"])
    life.bought("payment.purchase.refunded.v1", "order_id", "refund_timestamp", TANKS, orders["again"])
    life.bought("payment.purchase.refunded.v1", "order_id", "refund_timestamp", HALF_LIFE, orders["half-life"])
    life.bought("payment.purchase.refunded.v1", "order_id", "refund_timestamp", HALF_LIFE, orders["overtaken"])
    life.until(lambda: life.titles() == ["Танки и Туманы"])
    life.until(lambda: life.items()[0]["attributes"]["acquisition_type"] == "free_to_play")
    life.ask("GET", f"{ITEMS}/{half_life['id']}", expect=404)
    life.bought("payment.purchase.completed.v1", "order_id", "purchase_timestamp", HALF_LIFE, orders["overtaken"])
    delta = life.ask("GET", f"{ITEMS}?updated_since={begin['meta']['updated_until']}")
    assert {one["id"] for one in delta["meta"]["removed"]} == {half_life["id"], super_game["id"]}
    assert [one["id"] for one in delta["data"]] == [tanks["id"]]

    # A key brings the game back: the same item, with its play; the category is gone from it as from everywhere.
    life.ask("DELETE", f"{CATEGORIES}/{category_id}", expect=204)
    life.bought("payment.key.activated.v1", "activation_id", "activation_timestamp", HALF_LIFE, uuid4())
    life.until(lambda: life.titles() == ["Half-Life 3", "Танки и Туманы"])
    back = life.ask("GET", f"{ITEMS}/{half_life['id']}")["data"]
    assert back["attributes"]["acquisition_type"] == "key_activation"
    assert back["attributes"]["last_played_at"] is not None
    assert back["relationships"]["categories"]["data"] == []

    # The world was told of each change once, in order, and what is hidden.
    told = [(one.get_type(), one.get_data()) for one in life.told(enough=13)]
    kinds = [kind.removeprefix("library.") for kind, _ in told]
    assert sorted(kinds) == sorted(
        ["game.added.v1"] * 5
        + ["game.removed.v1"]
        + ["playtime.session.started.v1", "playtime.session.ended.v1"]
        + ["item.updated.v1"] * (2 + 2 + 1)
    ), json.dumps(kinds)
    hidden = [data for kind, data in told if data["product_id"] == str(SUPER_GAME) and kind.endswith("updated.v1")]
    assert [data["changes"] for data in hidden] == [{"is_hidden": True, "user_rating": 5}]
    assert all(data["is_hidden"] for data in hidden)
