"""The JSON that comes in and goes out, each shape once: these classes read, write and describe it (OpenAPI).

Members that are not described here are refused. Of a member that is repeated, the last counts, as everywhere in JSON's
world. Session and item bodies are those of the specification, sections 3.1.1 and 3.1.2.
"""

from typing import Annotated, Generic, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType, field

from actors.domain.ids import format_id, format_time
from actors.domain.model import (
    AcquisitionType,
    EndedSession,
    EndReason,
    InstallationStatus,
    LiveSession,
    Platform,
)
from actors.domain.replies import OneItem
from actors.history import PlaytimeStats, SessionRecord

BASE = "/api/v1/library"
MAX_DEVICE_ID = 128

Uuid = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Seconds = Annotated[int, Meta(ge=0)]
Rating = Annotated[int, Meta(ge=1, le=5)]
DeviceId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_DEVICE_ID,
        pattern=r"^(?![\s\S]*[\x00-\x1f\x7f])",
        description="Which of the user's devices plays: an opaque name without control characters",
    ),
]

T = TypeVar("T")


class Document(Struct, Generic[T], frozen=True):
    """A JSON:API document with one resource."""

    data: T


class StartAttributes(Struct, frozen=True, forbid_unknown_fields=True):
    product_id: Uuid
    platform: Platform | None = None
    device_id: DeviceId | None = None


class StartData(Struct, frozen=True, forbid_unknown_fields=True):
    type: Literal["playtimeSessionStart"]
    attributes: StartAttributes


class StartRequest(Struct, frozen=True, forbid_unknown_fields=True):
    data: StartData


class SessionAttributes(Struct, frozen=True):
    """``end_time``, ``duration_seconds`` and ``end_reason`` are there once the session has ended;
    ``client_session_id``, the client's own UUID, if it was recorded offline. A duration leaves out what other sessions
    of the product count."""

    product_id: Uuid
    start_time: Time
    status: Literal["active", "completed"]
    end_time: Time | UnsetType = UNSET
    duration_seconds: Seconds | UnsetType = UNSET
    end_reason: EndReason | UnsetType = UNSET
    platform: Platform | None = None
    device_id: str | None = None
    client_session_id: Uuid | UnsetType = UNSET


class Session(Struct, frozen=True):
    type: Literal["playtimeSession"]
    id: Uuid
    attributes: SessionAttributes


class SelfLink(Struct, frozen=True):
    self: str


class PageLinks(Struct, frozen=True):
    """``next`` is absent on the last page."""

    self: str
    next: str | UnsetType = UNSET


class SessionList(Struct, frozen=True):
    data: list[Session]
    links: PageLinks


class ItemAttributes(Struct, frozen=True):
    """``title`` and ``cover_image_url`` are null until they were fetched from the catalog (R-LIB-8); ``user_rating`` is
    there if the user has rated the product."""

    product_id: Uuid
    title: str | None
    cover_image_url: str | None
    added_at: Time
    last_played_at: Time | None
    total_playtime_seconds: Seconds
    installation_status: InstallationStatus
    is_hidden: bool
    acquisition_type: AcquisitionType
    user_rating: Rating | UnsetType = UNSET


class CategoryRef(Struct, frozen=True):
    type: Literal["userCategory"]
    id: Uuid


class CategoryRefs(Struct, frozen=True):
    data: list[CategoryRef] = field(default_factory=list)


class ItemRelationships(Struct, frozen=True):
    categories: CategoryRefs


class Item(Struct, frozen=True):
    type: Literal["libraryItem"]
    id: Uuid
    attributes: ItemAttributes
    relationships: ItemRelationships
    links: SelfLink


class RemovedRef(Struct, frozen=True):
    """An item that is not in the list any more: taken back, or no match for the filters."""

    type: Literal["libraryItem"]
    id: Uuid
    product_id: Uuid
    removed_at: Time


class PageMeta(Struct, frozen=True):
    """``updated_until``: the latest change of the library; ``removed`` is there with ``updated_since``, and counted in
    ``total_items``. ``stale_since`` is there when the page comes from a copy, because the library cannot be reached
    now: it shows all that was acknowledged before, and maybe nothing later."""

    total_items: int
    current_page: int
    per_page: int
    updated_until: Time
    removed: list[RemovedRef] | UnsetType = UNSET
    stale_since: Time | UnsetType = UNSET


class ItemList(Struct, frozen=True):
    data: list[Item]
    meta: PageMeta
    links: PageLinks


class Day(Struct, frozen=True):
    date: Annotated[str, Meta(extra_json_schema={"format": "date"})]
    playtime_seconds: Seconds


class Product(Struct, frozen=True):
    product_id: Uuid
    playtime_seconds: Seconds
    sessions: int


class PlatformTime(Struct, frozen=True):
    platform: Platform | None
    playtime_seconds: Seconds
    sessions: int


class StatsAttributes(Struct, frozen=True):
    """Completed sessions only; days are UTC, those without play are left out."""

    total_playtime_seconds: Seconds
    total_sessions: int
    last_two_weeks_seconds: Seconds
    per_day: list[Day]
    per_product: list[Product]
    per_platform: list[PlatformTime]


class Stats(Struct, frozen=True):
    type: Literal["playtimeStats"]
    id: Uuid
    attributes: StatsAttributes


def live_session_body(session: LiveSession) -> Session:
    attributes = SessionAttributes(
        product_id=format_id(session.product_id),
        start_time=format_time(session.started_at),
        status="active",
        platform=session.platform,
        device_id=session.device_id or None,
    )
    return Session("playtimeSession", format_id(session.session_id), attributes)


def ended_session_body(session: EndedSession) -> Session:
    attributes = SessionAttributes(
        product_id=format_id(session.product_id),
        start_time=format_time(session.started_at),
        status="completed",
        end_time=format_time(session.ended_at),
        duration_seconds=session.duration_s,
        end_reason=session.end_reason,
        platform=session.platform,
        device_id=session.device_id or None,
        client_session_id=UNSET if session.client_id is None else format_id(session.client_id),
    )
    return Session("playtimeSession", format_id(session.session_id), attributes)


def recorded_session_body(session: SessionRecord) -> Session:
    attributes = SessionAttributes(
        product_id=format_id(session.product_id),
        start_time=format_time(session.started_at),
        status="active" if session.ended_at is None else "completed",
        end_time=UNSET if session.ended_at is None else format_time(session.ended_at),
        duration_seconds=UNSET if session.duration_s is None else session.duration_s,
        end_reason=UNSET if session.end_reason is None else session.end_reason,
        platform=session.platform,
        device_id=session.device_id or None,
        client_session_id=UNSET if session.client_id is None else format_id(session.client_id),
    )
    return Session("playtimeSession", format_id(session.session_id), attributes)


def item_body(shown: OneItem) -> Item:
    item = shown.item
    item_id = format_id(item.item_id)
    attributes = ItemAttributes(
        product_id=format_id(item.product_id),
        title=shown.title,
        cover_image_url=shown.cover_image_url,
        added_at=format_time(item.added_at),
        last_played_at=None if item.last_played_at is None else format_time(item.last_played_at),
        total_playtime_seconds=item.total_playtime_s,
        installation_status=item.installation_status,
        is_hidden=item.is_hidden,
        acquisition_type=item.acquisition_type,
        user_rating=UNSET if item.user_rating is None else item.user_rating,
    )
    refs = [CategoryRef("userCategory", format_id(category_id)) for category_id in item.category_ids]
    links = SelfLink(f"{BASE}/items/{item_id}")
    return Item("libraryItem", item_id, attributes, ItemRelationships(CategoryRefs(refs)), links)


def stats_body(user_id: bytes, stats: PlaytimeStats) -> Stats:
    attributes = StatsAttributes(
        total_playtime_seconds=stats.total_s,
        total_sessions=stats.total_sessions,
        last_two_weeks_seconds=stats.last_two_weeks_s,
        per_day=[Day(day.day.isoformat(), day.seconds) for day in stats.per_day],
        per_product=[Product(format_id(p.product_id), p.seconds, p.sessions) for p in stats.per_product],
        per_platform=[PlatformTime(p.platform, p.seconds, p.sessions) for p in stats.per_platform],
    )
    return Stats("playtimeStats", format_id(user_id), attributes)
