"""Messages to commands: what is taken, and what becomes a dead letter of which reason (R-EVT-3, R-EVT-4)."""

import json
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.commands import AddPurchase, ChangeInstallation, RefundPurchase
from actors.domain.ids import Micros, OrderId, ProductId, UserId
from actors.ingress.decoding import decode, routes
from actors.ingress.envelope import MAX_VALUE_BYTES, Undecodable
from actors.ingress.payloads import (
    GIFT_ACCEPTED,
    INSTALLED,
    KEY_ACTIVATED,
    MAX_ITEMS,
    PURCHASED,
    READERS,
    REFUNDED,
    STATUS_CHANGED,
    UNINSTALLED,
)
from actors.ingress.ports import Partition, Record
from tests.support.events import installation, purchase, structured, validator

USER, GAME, DLC = UUID(int=1), UUID(int=2), UUID(int=3)
ORDER = "9c1f6f5e-3a56-4a5e-9d0c-0a0a0a0a0a0a"
ROUTES = routes({kind: kind for kind in READERS})
AT = Micros(1_710_496_500_000_000)
"""2024-03-15T09:55:00Z"""
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


def record(value: bytes | None, topic: str = PURCHASED, headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
    return Record(partition=Partition(topic, 0), offset=7, timestamp_ms=0, key=None, value=value, headers=headers)


def bare(payload: Any, topic: str = PURCHASED) -> Record:
    return record(json.dumps(payload).encode(), topic)


def problem(of: Record, where: Any = ROUTES) -> Undecodable:
    with pytest.raises(Undecodable) as raised:
        decode(of, where)
    return raised.value


def bought(**changes: Any) -> dict[str, Any]:
    return {**purchase(USER, [GAME, DLC]), "order_id": ORDER, **changes}


PURCHASE = AddPurchase(OrderId(UUID(ORDER).bytes), (ProductId(GAME.bytes), ProductId(DLC.bytes)), AT)


def test_a_bare_payload_of_the_specification_is_a_purchase() -> None:
    """R-LIB-5"""
    decoded = decode(bare(bought()), ROUTES)
    assert decoded.user_id == UserId(USER.bytes)
    assert decoded.command == PURCHASE
    assert decoded.event_id is None


def test_a_structured_cloudevent_is_a_purchase() -> None:
    """R-EVT-3"""
    decoded = decode(record(structured(PURCHASED, bought(), id="evt-1", traceparent=TRACE, extra=5)), ROUTES)
    assert decoded.command == PURCHASE
    assert (decoded.event_id, decoded.trace) == ("evt-1", TRACE)


def test_a_binary_cloudevent_is_a_purchase() -> None:
    """R-EVT-3"""
    headers = {"ce_specversion": "1.0", "ce_id": "evt-2", "ce_source": "/pay", "ce_type": PURCHASED}
    given_headers = {**headers, "content-type": "application/json; charset=utf-8", "traceparent": TRACE}
    message = record(
        json.dumps(bought()).encode(), headers=tuple((name, text.encode()) for name, text in given_headers.items())
    )
    decoded = decode(message, ROUTES)
    assert decoded.command == PURCHASE
    assert (decoded.event_id, decoded.trace) == ("evt-2", TRACE)


def test_a_quantity_above_one_is_one_item() -> None:
    """R-LIB-8"""
    decoded = decode(bare(bought(items=[{"product_id": str(GAME), "quantity": 3}])), ROUTES)
    assert isinstance(decoded.command, AddPurchase)
    assert decoded.command.product_ids == (ProductId(GAME.bytes),)


@pytest.mark.parametrize(("topic", "status"), [(INSTALLED, "installed"), (UNINSTALLED, "not_installed")])
def test_the_topic_or_the_payload_or_the_type_says_what_was_done(topic: str, status: str) -> None:
    """R-LIB-6"""
    payload = installation(USER, GAME, topic.split(".")[2], "2024-03-15T09:55:00+00:00")
    silent = {name: value for name, value in payload.items() if name != "event_type"}
    shared = routes({PURCHASED: "purchases", INSTALLED: "downloads", UNINSTALLED: "downloads"})
    expected = ChangeInstallation(ProductId(GAME.bytes), status, AT)  # type: ignore[arg-type]
    for message, where in (
        (bare(payload, topic), ROUTES),
        (bare(silent, topic), ROUTES),
        (bare(payload, "downloads"), shared),
        (record(structured(topic, silent), "downloads"), shared),
    ):
        assert decode(message, where).command == expected


def test_contradictions_and_silence_about_what_was_done_are_refused() -> None:
    """R-EVT-4"""
    payload = installation(USER, GAME, "installed", "2024-03-15T09:55:00Z")
    silent = {name: value for name, value in payload.items() if name != "event_type"}
    shared = routes({PURCHASED: "purchases", INSTALLED: "downloads", UNINSTALLED: "downloads"})
    assert problem(bare(payload, UNINSTALLED)).reason == "bad_payload"
    assert problem(record(structured(UNINSTALLED, payload), "downloads"), shared).reason == "bad_payload"
    assert problem(bare(silent, "downloads"), shared).reason == "bad_payload"


def other(kind: str, **changes: Any) -> dict[str, Any]:
    """A good payload of each event but the purchase and the install events."""
    items = [{"product_id": str(GAME), "quantity": 2}]
    payloads: dict[str, dict[str, Any]] = {
        REFUNDED: {"order_id": ORDER, "items": items, "refund_timestamp": "2024-03-15T09:55:00Z"},
        GIFT_ACCEPTED: {"gift_id": ORDER, "items": items, "accepted_timestamp": "2024-03-15T09:55:00Z"},
        KEY_ACTIVATED: {"activation_id": ORDER, "items": items, "activation_timestamp": "2024-03-15T09:55:00Z"},
        STATUS_CHANGED: {"product_id": str(GAME), "status": "repair_needed", "timestamp": "2024-03-15T09:55:00Z"},
    }
    return {"user_id": str(USER), **payloads[kind], **changes}


ORDER_ID, GAMES = OrderId(UUID(ORDER).bytes), (ProductId(GAME.bytes),)
OTHERS = {
    REFUNDED: RefundPurchase(ORDER_ID, GAMES, AT),
    GIFT_ACCEPTED: AddPurchase(ORDER_ID, GAMES, AT, "gift"),
    KEY_ACTIVATED: AddPurchase(ORDER_ID, GAMES, AT, "key_activation"),
    STATUS_CHANGED: ChangeInstallation(GAMES[0], "repair_needed", AT),
}


@pytest.mark.parametrize(("kind", "command"), OTHERS.items(), ids=OTHERS.keys())
def test_each_event_is_its_command_bare_or_enveloped_on_topics_of_any_name(kind: Any, command: Any) -> None:
    """R-LIB-5, R-LIB-6, R-EVT-3: decoder and schema file agree."""
    validator(kind).validate(other(kind, later="field"))
    shared = routes(dict.fromkeys(READERS, "everything"))
    for message, where in (
        (bare(other(kind, later="field"), kind), ROUTES),
        (bare(other(kind), "renamed"), routes({kind: "renamed"})),
        (record(structured(kind, other(kind)), "everything"), shared),
    ):
        assert decode(message, where).command == command
    assert problem(bare(other(kind), "everything"), shared).reason == "unexpected_type"


@pytest.mark.parametrize("kind", OTHERS)
def test_each_event_needs_all_of_its_fields_and_no_other_values(kind: Any) -> None:
    """R-EVT-4: decoder and schema file agree."""
    broken = [{key: value for key, value in other(kind).items() if key != name} for name in other(kind)]
    broken += [{**other(kind), name: 7} for name in other(kind)]
    broken += [other(kind, **{name: []}) for name in other(kind)]
    broken += [other(kind, status="sold")] if kind == STATUS_CHANGED else [other(kind, items=[{"quantity": 1}])]
    for payload in broken:
        assert not validator(kind).is_valid(payload), payload
        assert problem(bare(payload, kind)).reason == "bad_payload"


BAD_PAYLOADS: dict[str, Any] = {
    "no user": {name: value for name, value in bought().items() if name != "user_id"},
    "a user that is no UUID": bought(user_id="user-uuid-123"),
    "NUL in an id": bought(order_id=ORDER[:-1] + "\x00"),
    "a number as id": bought(order_id=5),
    "no items": bought(items=[]),
    "too many items": bought(items=[{"product_id": str(GAME)}] * (MAX_ITEMS + 1)),
    "items that are no list": bought(items={"product_id": str(GAME)}),
    "quantity 0": bought(items=[{"product_id": str(GAME), "quantity": 0}]),
    "quantity as text": bought(items=[{"product_id": str(GAME), "quantity": "1"}]),
    "a time without an offset": bought(purchase_timestamp="2024-03-15T09:55:00"),
    "a week date": bought(purchase_timestamp="2024-W11-5T09:55:00Z"),
    "a time in digits of another script": bought(purchase_timestamp="٢٠٢٤-03-15T09:55:00Z"),
    "a product type that is no text": bought(items=[{"product_id": str(GAME), "product_type": 5}]),
    "an array": [bought()],
    "null": None,
}


@pytest.mark.parametrize("payload", BAD_PAYLOADS.values(), ids=BAD_PAYLOADS.keys())
def test_a_payload_outside_its_schema_is_refused(payload: Any) -> None:
    """R-EVT-4: decoder and schema file agree."""
    assert not validator(PURCHASED).is_valid(payload)
    reason = problem(record(structured(PURCHASED, {}).replace(b"{}", json.dumps(payload).encode()))).reason
    assert reason == "bad_payload"


@pytest.mark.parametrize("payload", [bought(), bought(later="field"), bought(items=[{"product_id": str(GAME)}] * 1000)])
def test_a_payload_inside_its_schema_is_taken(payload: Any) -> None:
    """R-EVT-6: decoder and schema file agree."""
    validator(PURCHASED).validate(payload)
    assert decode(bare(payload), ROUTES).user_id == USER.bytes


@pytest.mark.parametrize("time", ["2024-13-15T09:55:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-01:00"])
def test_times_that_no_table_could_hold_are_refused(time: str) -> None:
    """R-EVT-4"""
    assert problem(bare(bought(purchase_timestamp=time))).reason == "bad_payload"


ENVELOPES: dict[str, tuple[Record, str]] = {
    "nothing": (record(None), "not_json"),
    "no JSON": (record(b"\xff\x00{"), "not_json"),
    "bad UTF-8 in JSON": (record(b'{"user_id": "\xff"}'), "bad_payload"),
    "endless nesting": (record(b"[" * 100_000), "not_json"),
    "endless nesting inside": (record(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "not_json"),
    "too large": (record(b" " * (MAX_VALUE_BYTES + 1)), "too_large"),
    "another version": (record(structured(PURCHASED, bought(), specversion="0.3")), "bad_envelope"),
    "an empty id": (record(structured(PURCHASED, bought(), id="")), "bad_envelope"),
    "NUL in the id": (record(structured(PURCHASED, bought(), id="a\x00")), "bad_envelope"),
    "a number as source": (record(structured(PURCHASED, bought(), source=1)), "bad_envelope"),
    "another media type": (record(structured(PURCHASED, bought(), datacontenttype="text/xml")), "bad_envelope"),
    "another event": (record(structured("payment.sale.ended.v1", bought())), "unexpected_type"),
    "an event of another topic": (record(structured(INSTALLED, bought())), "unexpected_type"),
    "binary without a type": (record(b"{}", headers=(("ce_specversion", b"1.0"), ("ce_id", b"1"))), "bad_envelope"),
    "a batch": (record(b"{}", headers=(("content-type", b"application/cloudevents-batch+json"),)), "bad_envelope"),
}


@pytest.mark.parametrize(("message", "reason"), ENVELOPES.values(), ids=ENVELOPES.keys())
def test_a_broken_envelope_is_refused(message: Record, reason: str) -> None:
    """R-EVT-4"""
    assert problem(message).reason == reason


def test_a_refusal_keeps_the_id_of_the_event() -> None:
    """R-EVT-4"""
    assert problem(record(structured(PURCHASED, {}, id="evt-3"))).event_id == "evt-3"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(sorted(bought())), inner),
    max_leaves=8,
)


@given(st.binary() | _json.map(lambda value: json.dumps(value).encode()))
def test_no_message_breaks_the_decoder(value: bytes) -> None:
    """R-EVT-4: whatever comes is a command or a dead letter."""
    for topic in ROUTES:
        for message in (record(value, topic), record(structured(topic, {}).replace(b"{}", value), topic)):
            with suppress(Undecodable):
                decode(message, ROUTES)
