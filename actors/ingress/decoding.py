"""Messages to commands: the envelope, the topic and the payload together say which event it is (R-EVT-3)."""

from collections.abc import Mapping

from msgspec import Struct

from actors.catalog import ProductUpdate
from actors.domain.ids import UserId
from actors.ingress.envelope import PARSE_ERRORS, Opened, Undecodable, open_envelope
from actors.ingress.payloads import (
    INSTALLED,
    PRODUCT_UPDATED,
    READERS,
    UNINSTALLED,
    EventCommand,
    EventType,
    said_kind,
)
from actors.ingress.ports import Record
from actors.ingress.product_news import decode_product_news

Routes = Mapping[str, frozenset[EventType]]
"""Which event types a topic may hold."""


class Decoded(Struct, frozen=True, kw_only=True):
    user_id: UserId
    command: EventCommand
    event_id: str | None = None
    trace: str | None = None


def routes(topics: Mapping[EventType, str]) -> Routes:
    """From the topic of each event type; several may share one."""
    return {topic: frozenset(kind for kind, name in topics.items() if name == topic) for topic in topics.values()}


def decode(record: Record, where: Routes) -> Decoded | ProductUpdate:
    """The command that a message asks for, or what it says of a product. Raises ``Undecodable``."""
    opened = open_envelope(record)
    allowed = where.get(record.partition.topic, frozenset())
    try:
        kind = _kind(opened, allowed)
        if kind == PRODUCT_UPDATED:
            return decode_product_news(opened, record)
        user_id, command = READERS[kind](opened.data)
    except (*PARSE_ERRORS, ValueError) as error:
        raise Undecodable("bad_payload", str(error)[:200], opened.event_id) from None
    return Decoded(user_id=user_id, command=command, event_id=opened.event_id, trace=opened.trace)


def _kind(opened: Opened, allowed: frozenset[EventType]) -> EventType:
    """A bare payload is what its topic holds; only installs and uninstalls say themselves which they are."""
    if opened.event_type is not None:
        if opened.event_type not in allowed:
            raise Undecodable("unexpected_type", f"{opened.event_type} is not expected here", opened.event_id)
        return opened.event_type
    if len(allowed) == 1:
        (kind,) = allowed
        return kind
    if allowed == {INSTALLED, UNINSTALLED}:
        return said_kind(opened.data)
    raise Undecodable("unexpected_type", "a bare payload on a topic of several kinds of events")
