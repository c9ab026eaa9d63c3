"""What each consumed event says, and the command it asks for (specification 5.2; R-LIB-5, R-LIB-6, R-EVT-3).

Strict about what is used, blind to what is not: a producer may add fields. ``docs/events`` holds the same as JSON
Schemas.

A payload needs no id of its own: orders, gifts and activations are remembered by their id and product, install events
by their time.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from actors.domain.commands import AddPurchase, ChangeInstallation, RefundPurchase
from actors.domain.ids import SECOND, Micros, OrderId, ProductId, UserId, parse_id, parse_time
from actors.domain.model import InstallationStatus

EventType = Literal[
    "payment.purchase.completed.v1",
    "payment.purchase.refunded.v1",
    "payment.gift.accepted.v1",
    "payment.key.activated.v1",
    "download.game.installed.v1",
    "download.game.uninstalled.v1",
    "download.game.status.changed.v1",
    "catalog.product.updated.v1",
]
PURCHASED: EventType = "payment.purchase.completed.v1"
REFUNDED: EventType = "payment.purchase.refunded.v1"
GIFT_ACCEPTED: EventType = "payment.gift.accepted.v1"
KEY_ACTIVATED: EventType = "payment.key.activated.v1"
INSTALLED: EventType = "download.game.installed.v1"
UNINSTALLED: EventType = "download.game.uninstalled.v1"
STATUS_CHANGED: EventType = "download.game.status.changed.v1"
PRODUCT_UPDATED: EventType = "catalog.product.updated.v1"
"""Asks nothing of a user's actor: see ``product_news``."""

MAX_ITEMS = 1_000
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})")
_END_OF_TIME = Micros(253_402_300_800 * SECOND)
"""The year 10000, which neither Python nor RFC 3339 knows."""

EventCommand = AddPurchase | RefundPurchase | ChangeInstallation
Asked = tuple[UserId, EventCommand]


class _Item(Struct):
    product_id: str
    product_type: str = ""
    quantity: Annotated[int, Meta(ge=1)] = 1


_Items = Annotated[list[_Item], Meta(min_length=1, max_length=MAX_ITEMS)]


class _PurchaseCompleted(Struct):
    user_id: str
    order_id: str
    items: _Items
    purchase_timestamp: str


class _PurchaseRefunded(Struct):
    user_id: str
    order_id: str
    items: _Items
    refund_timestamp: str


class _GiftAccepted(Struct):
    user_id: str
    gift_id: str
    items: _Items
    accepted_timestamp: str


class _KeyActivated(Struct):
    user_id: str
    activation_id: str
    items: _Items
    activation_timestamp: str


class _Installation(Struct):
    user_id: str
    product_id: str
    timestamp: str
    version_id: str = ""
    event_type: Literal["installed", "uninstalled"] | UnsetType = UNSET


class _StatusChanged(Struct):
    user_id: str
    product_id: str
    status: InstallationStatus
    timestamp: str
    version_id: str = ""


class _Said(Struct):
    event_type: Literal["installed", "uninstalled"] | UnsetType = UNSET


_purchase = msgspec.json.Decoder(_PurchaseCompleted)
_refund = msgspec.json.Decoder(_PurchaseRefunded)
_gift = msgspec.json.Decoder(_GiftAccepted)
_key = msgspec.json.Decoder(_KeyActivated)
_installation = msgspec.json.Decoder(_Installation)
_status = msgspec.json.Decoder(_StatusChanged)
_said = msgspec.json.Decoder(_Said)


def read_purchase(data: bytes | Raw) -> Asked:
    said = _purchase.decode(data)
    at = read_time(said.purchase_timestamp, "purchase_timestamp")
    return _user(said.user_id), AddPurchase(_order(said.order_id, "order_id"), _products(said.items), at)


def read_refund(data: bytes | Raw) -> Asked:
    """``order_id`` is that of an order, a gift or an activation."""
    said = _refund.decode(data)
    at = read_time(said.refund_timestamp, "refund_timestamp")
    return _user(said.user_id), RefundPurchase(_order(said.order_id, "order_id"), _products(said.items), at)


def read_gift(data: bytes | Raw) -> Asked:
    said = _gift.decode(data)
    at = read_time(said.accepted_timestamp, "accepted_timestamp")
    return _user(said.user_id), AddPurchase(_order(said.gift_id, "gift_id"), _products(said.items), at, "gift")


def read_key(data: bytes | Raw) -> Asked:
    said = _key.decode(data)
    at = read_time(said.activation_timestamp, "activation_timestamp")
    order = _order(said.activation_id, "activation_id")
    return _user(said.user_id), AddPurchase(order, _products(said.items), at, "key_activation")


def read_installed(data: bytes | Raw) -> Asked:
    return _read_installation(data, "installed", "installed")


def read_uninstalled(data: bytes | Raw) -> Asked:
    return _read_installation(data, "uninstalled", "not_installed")


def read_status(data: bytes | Raw) -> Asked:
    said = _status.decode(data)
    return _user(said.user_id), ChangeInstallation(
        _product(said.product_id), said.status, read_time(said.timestamp, "timestamp")
    )


def said_kind(data: bytes | Raw) -> EventType:
    """Whether a payload calls itself installed or uninstalled, where nothing else tells. ``ValueError`` if not."""
    said = _said.decode(data).event_type
    if said is UNSET:
        raise ValueError("event_type is missing")
    return INSTALLED if said == "installed" else UNINSTALLED


READERS: Mapping[EventType, Callable[[bytes | Raw], Asked]] = {
    PURCHASED: read_purchase,
    REFUNDED: read_refund,
    GIFT_ACCEPTED: read_gift,
    KEY_ACTIVATED: read_key,
    INSTALLED: read_installed,
    UNINSTALLED: read_uninstalled,
    STATUS_CHANGED: read_status,
}
"""Each raises a ``msgspec`` error or ``ValueError`` for what is not its payload."""


def _read_installation(
    data: bytes | Raw, kind: Literal["installed", "uninstalled"], status: InstallationStatus
) -> Asked:
    said = _installation.decode(data)
    if said.event_type not in (UNSET, kind):
        raise ValueError("event_type contradicts the event's type or topic")
    return _user(said.user_id), ChangeInstallation(
        _product(said.product_id), status, read_time(said.timestamp, "timestamp")
    )


def _products(items: Sequence[_Item]) -> tuple[ProductId, ...]:
    return tuple(_product(item.product_id) for item in items)


def _user(text: str) -> UserId:
    return UserId(_id(text, "user_id"))


def _product(text: str) -> ProductId:
    return ProductId(_id(text, "product_id"))


def _order(text: str, name: str) -> OrderId:
    return OrderId(_id(text, name))


def _id(text: str, name: str) -> bytes:
    try:
        return parse_id(text)
    except ValueError:
        raise ValueError(f"{name} is not a UUID") from None


def read_time(text: str, name: str) -> Micros:
    """``ValueError`` for what no table could hold."""
    if _TIME.fullmatch(text) is None:
        raise ValueError(f"{name} is not an RFC 3339 time")
    try:
        at = parse_time(text)
    except ValueError:
        raise ValueError(f"{name} is not a time") from None
    if not 0 <= at < _END_OF_TIME:
        raise ValueError(f"{name} is not between 1970 and 9999")
    return at
