"""Payloads to commands (specification 5.2; R-LIB-5, R-LIB-6). Strict about what is used, blind to what is not: a
producer may add fields. ``docs/events`` holds the same as JSON Schemas.

A bare payload needs no id of its own: purchases are remembered by order and product, install events by their time.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from actors.domain.commands import AddPurchase, ChangeInstallation
from actors.domain.ids import SECOND, Micros, OrderId, ProductId, UserId, parse_id, parse_time
from actors.ingress.envelope import PARSE_ERRORS, Opened, Undecodable, open_envelope
from actors.ingress.ports import Record
from actors.ingress.product_news import ProductNews, decode_product_news

EventType = Literal[
    "payment.purchase.completed.v1",
    "download.game.installed.v1",
    "download.game.uninstalled.v1",
    "catalog.product.updated.v1",
]
PURCHASED: EventType = "payment.purchase.completed.v1"
INSTALLED: EventType = "download.game.installed.v1"
UNINSTALLED: EventType = "download.game.uninstalled.v1"
PRODUCT_UPDATED: EventType = "catalog.product.updated.v1"

Routes = Mapping[str, frozenset[EventType]]
"""Which event types a topic may hold."""

MAX_ITEMS = 1_000
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})")
_END_OF_TIME = Micros(253_402_300_800 * SECOND)
"""The year 10000, which neither Python nor RFC 3339 knows."""


class Decoded(Struct, frozen=True, kw_only=True):
    user_id: UserId
    command: AddPurchase | ChangeInstallation
    event_id: str | None = None
    trace: str | None = None


class _PurchasedItem(Struct):
    product_id: str
    product_type: str = ""
    quantity: Annotated[int, Meta(ge=1)] = 1


class _PurchaseCompleted(Struct):
    user_id: str
    order_id: str
    items: Annotated[list[_PurchasedItem], Meta(min_length=1, max_length=MAX_ITEMS)]
    purchase_timestamp: str


class _InstallationChanged(Struct):
    user_id: str
    product_id: str
    timestamp: str
    version_id: str = ""
    event_type: Literal["installed", "uninstalled"] | UnsetType = UNSET


_purchase = msgspec.json.Decoder(_PurchaseCompleted)
_installation = msgspec.json.Decoder(_InstallationChanged)


def routes(purchases: str, installed: str, uninstalled: str, product_updates: str = PRODUCT_UPDATED) -> Routes:
    """From topic names; several event types may share a topic."""
    pairs: list[tuple[str, EventType]] = [
        (purchases, PURCHASED),
        (installed, INSTALLED),
        (uninstalled, UNINSTALLED),
        (product_updates, PRODUCT_UPDATED),
    ]
    return {topic: frozenset(kind for name, kind in pairs if name == topic) for topic, _ in pairs}


def decode(record: Record, where: Routes) -> Decoded | ProductNews:
    """The command that a message asks for, or what it says of a product. Raises ``Undecodable``."""
    opened = open_envelope(record)
    allowed = where.get(record.partition.topic, frozenset())
    try:
        if _is_product_news(opened, allowed):
            return decode_product_news(opened, record)
        if _is_purchase(opened, allowed):
            return _decode_purchase(opened)
        return _decode_installation(opened, allowed)
    except (*PARSE_ERRORS, ValueError) as error:
        raise Undecodable("bad_payload", str(error)[:200], opened.event_id) from None


def _is_product_news(opened: Opened, allowed: frozenset[EventType]) -> bool:
    if opened.event_type is None:
        return allowed == {PRODUCT_UPDATED}
    return opened.event_type == PRODUCT_UPDATED and PRODUCT_UPDATED in allowed


def _is_purchase(opened: Opened, allowed: frozenset[EventType]) -> bool:
    if opened.event_type is None:
        if PURCHASED in allowed and len(allowed) > 1:
            raise Undecodable("unexpected_type", "a bare payload on a topic of purchases and other events")
        return PURCHASED in allowed
    if opened.event_type not in allowed:
        raise Undecodable("unexpected_type", f"{opened.event_type} is not expected here", opened.event_id)
    return opened.event_type == PURCHASED


def _decode_purchase(opened: Opened) -> Decoded:
    payload = _purchase.decode(opened.data)
    command = AddPurchase(
        order_id=OrderId(_id(payload.order_id, "order_id")),
        product_ids=tuple(ProductId(_id(item.product_id, "product_id")) for item in payload.items),
        purchased_at=_time(payload.purchase_timestamp, "purchase_timestamp"),
    )
    return _decoded(payload.user_id, command, opened)


def _decode_installation(opened: Opened, allowed: frozenset[EventType]) -> Decoded:
    payload = _installation.decode(opened.data)
    command = ChangeInstallation(
        product_id=ProductId(_id(payload.product_id, "product_id")),
        status="installed" if _installed(payload.event_type, opened, allowed) else "not_installed",
        at=_time(payload.timestamp, "timestamp"),
    )
    return _decoded(payload.user_id, command, opened)


def _installed(said: str | UnsetType, opened: Opened, allowed: frozenset[EventType]) -> bool:
    """What the envelope, the payload and the topic say; they must not contradict each other."""
    kinds = allowed if opened.event_type is None else {cast(EventType, opened.event_type)}
    kinds = kinds & {INSTALLED, UNINSTALLED}
    if said is not UNSET:
        kinds = kinds & {INSTALLED if said == "installed" else UNINSTALLED}
    if len(kinds) != 1:
        raise ValueError(
            "event_type is missing" if said is UNSET else "event_type contradicts the event's type or topic"
        )
    return INSTALLED in kinds


def _decoded(user_id: str, command: AddPurchase | ChangeInstallation, opened: Opened) -> Decoded:
    return Decoded(
        user_id=UserId(_id(user_id, "user_id")), command=command, event_id=opened.event_id, trace=opened.trace
    )


def _id(text: str, name: str) -> bytes:
    try:
        return parse_id(text)
    except ValueError:
        raise ValueError(f"{name} is not a UUID") from None


def _time(text: str, name: str) -> Micros:
    if _TIME.fullmatch(text) is None:
        raise ValueError(f"{name} is not an RFC 3339 time")
    try:
        at = parse_time(text)
    except ValueError:
        raise ValueError(f"{name} is not a time") from None
    if not 0 <= at < _END_OF_TIME:
        raise ValueError(f"{name} is not between 1970 and 9999")
    return at
