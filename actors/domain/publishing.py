"""Which events the world is told about, and how: CloudEvents for the outbox (R-EVT-1, R-EVT-6).

Ids are derived from what happened, so that a replayed journal makes the same ids again: a consumer sees duplicates
only with the same id (R-EVT-2). ``is_hidden`` lets Social hold back what a user hides.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from msgspec import Struct

from actors.domain.events import (
    NO_ITEM,
    Event,
    InstallationChanged,
    ItemAdded,
    ItemFellBack,
    ItemPatch,
    ItemRemoved,
    ItemsPatched,
    OfflinePlayed,
    SessionEnded,
    SessionStarted,
)
from actors.domain.ids import ItemId, Micros, ProductId, UserId, format_id, format_time


class IntegrationEvent(Struct, frozen=True):
    """The attributes of a CloudEvent that differ from one to the next; ``subject`` is the entity's id."""

    event_id: str
    type: str
    subject: str
    time: Micros
    data: dict[str, Any]


def published(user_id: UserId, event: Event) -> Iterator[IntegrationEvent]:
    """The integration events of a domain event; none if it stays inside."""
    match event:
        case SessionStarted():
            yield _session_started(user_id, event)
        case SessionEnded():
            yield _session_ended(user_id, event)
        case OfflinePlayed():
            yield _played_offline(user_id, event)
        case ItemAdded():
            yield _item_added(user_id, event)
        case ItemRemoved():
            yield _item_removed(user_id, event)
        case InstallationChanged(item_id=item_id):
            if item_id != NO_ITEM:
                yield _updated(
                    user_id,
                    (item_id, event.product_id, event.is_hidden),
                    event.decided_at,
                    {"installation_status": event.status},
                    b"install%d" % event.at,
                )
        case ItemFellBack():
            changes = {"acquisition_type": event.acquisition_type, "added_at": format_time(event.added_at)}
            item = (event.item_id, event.product_id, event.is_hidden)
            cause = event.order_id + f"{event.acquisition_type}{event.added_at}".encode()
            yield _updated(user_id, item, event.at, changes, cause)
        case ItemsPatched():
            for number, patch in enumerate(event.patches):
                item = (patch.item_id, patch.product_id, patch.is_hidden)
                yield _updated(user_id, item, event.at, _changes(patch), event.change_id + b"%d" % number)
        case _:
            return


def _session_started(user_id: UserId, event: SessionStarted) -> IntegrationEvent:
    session = event.session
    return _event(
        "library.playtime.session.started.v1",
        session.session_id,
        session.started_at,
        {
            "user_id": format_id(user_id),
            "product_id": format_id(session.product_id),
            "session_id": format_id(session.session_id),
            "started_at": format_time(session.started_at),
            "platform": session.platform,
            "is_hidden": event.is_hidden,
        },
    )


def _session_ended(user_id: UserId, event: SessionEnded) -> IntegrationEvent:
    return _event(
        "library.playtime.session.ended.v1",
        event.session_id,
        event.ended_at,
        {
            "user_id": format_id(user_id),
            "product_id": format_id(event.product_id),
            "session_id": format_id(event.session_id),
            "session_duration_seconds": event.duration_s,
            "total_playtime_seconds": event.total_playtime_s,
            "ended_at": format_time(event.ended_at),
            "end_reason": event.reason,
            "is_hidden": event.is_hidden,
        },
    )


def _played_offline(user_id: UserId, event: OfflinePlayed) -> IntegrationEvent:
    session = event.session
    return _event(
        "library.playtime.session.ended.v1",
        session.session_id,
        session.ended_at,
        {
            "user_id": format_id(user_id),
            "product_id": format_id(session.product_id),
            "session_id": format_id(session.session_id),
            "session_duration_seconds": session.duration_s,
            "total_playtime_seconds": event.total_playtime_s,
            "ended_at": format_time(session.ended_at),
            "end_reason": session.end_reason,
            "is_hidden": event.is_hidden,
            "offline": True,
        },
    )


def _item_added(user_id: UserId, event: ItemAdded) -> IntegrationEvent:
    item = event.item
    return _event(
        "library.game.added.v1",
        item.item_id,
        item.added_at,
        {
            "user_id": format_id(user_id),
            "product_id": format_id(item.product_id),
            "acquisition_type": item.acquisition_type,
            "added_at": format_time(item.added_at),
            "is_hidden": item.is_hidden,
        },
        event.order_id,
    )


def _item_removed(user_id: UserId, event: ItemRemoved) -> IntegrationEvent:
    return _event(
        "library.game.removed.v1",
        event.item_id,
        event.at,
        {
            "user_id": format_id(user_id),
            "library_item_id": format_id(event.item_id),
            "product_id": format_id(event.product_id),
            "acquisition_type": event.acquisition_type,
            "reason": "refund",
            "removed_at": format_time(event.at),
            "is_hidden": event.is_hidden,
        },
        event.order_id,
    )


def _updated(
    user_id: UserId, item: tuple[ItemId, ProductId, bool], at: Micros, changes: dict[str, Any], cause: bytes
) -> IntegrationEvent:
    """The payload that section 3.3 has for the same event on a socket."""
    item_id, product_id, is_hidden = item
    return _event(
        "library.item.updated.v1",
        item_id,
        at,
        {
            "user_id": format_id(user_id),
            "library_item_id": format_id(item_id),
            "product_id": format_id(product_id),
            "changes": changes,
            "updated_at": format_time(at),
            "is_hidden": is_hidden,
        },
        cause,
    )


def _changes(patch: ItemPatch) -> dict[str, Any]:
    now = {
        "is_hidden": patch.is_hidden,
        "user_rating": patch.user_rating,
        "category_ids": [format_id(category_id) for category_id in patch.category_ids],
    }
    return {name: now[name] for name in patch.changed}


def _event(kind: str, entity_id: bytes, time: Micros, data: dict[str, Any], cause: bytes = b"") -> IntegrationEvent:
    """``cause`` tells two events of one kind and entity apart."""
    event_id = format_id(sha256(kind.encode() + entity_id + cause).digest()[:16])
    return IntegrationEvent(event_id, kind, format_id(entity_id), time, data)
