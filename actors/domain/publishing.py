"""Which events the world is told about, and how: CloudEvents for the outbox (R-EVT-1, R-EVT-6).

Ids are derived from what happened, so that a replayed journal makes the same ids again: a consumer sees duplicates
only with the same id (R-EVT-2).
"""

from hashlib import sha256
from typing import Any

from msgspec import Struct

from actors.domain.events import Event, ItemAdded, OfflinePlayed, SessionEnded, SessionStarted
from actors.domain.ids import Micros, UserId, format_id, format_time


class IntegrationEvent(Struct, frozen=True):
    """The attributes of a CloudEvent that differ from one to the next; ``subject`` is the entity's id."""

    event_id: str
    type: str
    subject: str
    time: Micros
    data: dict[str, Any]


def published(user_id: UserId, event: Event) -> IntegrationEvent | None:
    """The integration event of a domain event, or None if it stays inside."""
    match event:
        case SessionStarted(session=session):
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
                },
            )
        case SessionEnded():
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
                },
            )
        case OfflinePlayed(session=session):
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
                    "offline": True,
                },
            )
        case ItemAdded(item=item):
            return _event(
                "library.game.added.v1",
                item.item_id,
                item.added_at,
                {
                    "user_id": format_id(user_id),
                    "product_id": format_id(item.product_id),
                    "acquisition_type": item.acquisition_type,
                    "added_at": format_time(item.added_at),
                },
            )
        case _:
            return None


def _event(kind: str, entity_id: bytes, time: Micros, data: dict[str, Any]) -> IntegrationEvent:
    event_id = format_id(sha256(kind.encode() + entity_id).digest()[:16])
    return IntegrationEvent(event_id, kind, format_id(entity_id), time, data)
