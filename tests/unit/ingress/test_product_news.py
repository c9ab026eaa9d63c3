"""``catalog.product.updated.v1`` as the specification has it, and as it may come (R-LIB-4, R-EVT-3, R-EVT-4)."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from msgspec import UNSET

from actors.catalog import ProductUpdate
from actors.ingress.decoding import decode, routes
from actors.ingress.envelope import Undecodable
from actors.ingress.payloads import PRODUCT_UPDATED, PURCHASED
from actors.ingress.ports import Partition, Record
from actors.ingress.product_news import MAX_AHEAD_MS
from tests.support.events import structured

GAME = "5f1b0a52-3c41-4c0e-9a57-0d8f3f6f2f10"
SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "events" / f"{PRODUCT_UPDATED}.json").read_text())
ROUTES = routes({PURCHASED: "purchases", PRODUCT_UPDATED: PRODUCT_UPDATED})
AT = "2024-03-15T20:00:00.250Z"
AT_MS = 1_710_532_800_250


def news(value: bytes, topic: str = PRODUCT_UPDATED, where: Any = ROUTES, got_ms: int = AT_MS) -> ProductUpdate:
    record = Record(partition=Partition(topic, 0), offset=1, timestamp_ms=got_ms, key=None, value=value)
    decoded = decode(record, where)
    assert isinstance(decoded, ProductUpdate)
    return decoded


def said(**more: Any) -> dict[str, Any]:
    return {"product_id": GAME, "updated_fields": list(more), **more}


def test_the_specifications_example() -> None:
    payload = {
        "product_id": GAME,
        "updated_fields": ["title", "cover_image_url"],
        "new_title": "Супер Игра X - Издание Года",
        "new_cover_image_url": "https://cdn.example.com/covers/new_cover.jpg",
    }
    jsonschema.validate(payload, SCHEMA)
    expected = ProductUpdate(
        product_id=GAME,
        updated_at=AT_MS,
        title="Супер Игра X - Издание Года",
        cover_image_url="https://cdn.example.com/covers/new_cover.jpg",
    )
    assert news(structured(PRODUCT_UPDATED, payload, time=AT)) == expected


def test_what_is_not_said_did_not_change_and_a_cover_may_be_taken_away() -> None:
    assert news(structured(PRODUCT_UPDATED, said(), time=AT)) == ProductUpdate(product_id=GAME, updated_at=AT_MS)
    without = news(structured(PRODUCT_UPDATED, {**said(), "updated_fields": ["cover_image_url"]}, time=AT))
    assert without.title is UNSET
    assert without.cover_image_url is None


def test_without_a_time_of_its_own_it_is_as_new_as_kafka_says() -> None:
    assert news(json.dumps(said(new_title="x")).encode(), got_ms=77).updated_at == 77
    assert news(structured(PRODUCT_UPDATED, said(new_title="x")), got_ms=77).updated_at == 77


def test_a_time_well_after_kafkas_does_not_hide_what_the_catalog_says_later() -> None:
    value = structured(PRODUCT_UPDATED, said(new_title="x"), time=AT)
    assert news(value, got_ms=AT_MS - MAX_AHEAD_MS).updated_at == AT_MS
    assert news(value, got_ms=AT_MS - MAX_AHEAD_MS - 1).updated_at == AT_MS - 1


def test_it_may_share_a_topic_when_it_says_what_it_is() -> None:
    shared = routes({PURCHASED: "everything", PRODUCT_UPDATED: "everything"})
    assert news(structured(PRODUCT_UPDATED, said(new_title="x"), time=AT), "everything", shared).title == "x"


@pytest.mark.parametrize(
    "payload",
    [
        {},
        said() | {"product_id": "game-uuid-abc"},
        said(new_title=""),
        said(new_title=7),
        said(new_title="x" * 501),
        said(new_cover_image_url="x" * 2_049),
        said() | {"updated_fields": "title"},
    ],
)
def test_what_cannot_be_shown_is_a_dead_letter(payload: dict[str, Any]) -> None:
    with pytest.raises(Undecodable) as caught:
        news(structured(PRODUCT_UPDATED, payload, time=AT))
    assert caught.value.reason == "bad_payload"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(payload, SCHEMA)


@pytest.mark.parametrize(
    "time", ["yesterday", "2024-03-15T20:00:00", "2024-13-15T20:00:00Z", "1969-12-31T23:59:59Z", "20240315T200000Z"]
)
def test_a_time_that_is_none_is_a_dead_letter(time: str) -> None:
    with pytest.raises(Undecodable):
        news(structured(PRODUCT_UPDATED, said(new_title="x"), time=time))


def test_a_purchase_is_not_expected_there() -> None:
    with pytest.raises(Undecodable) as caught:
        news(structured(PURCHASED, said(), time=AT))
    assert caught.value.reason == "unexpected_type"
