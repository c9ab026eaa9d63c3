"""What happened to a user: the contents of the journal. Each event holds all that ``evolve`` needs, ids and times
included, so that replaying it gives the same state, and what the world is told about it. ``is_hidden`` is the item's,
for the world (R-EVT-6). Fields with defaults were added later: older journal rows lack them."""

from msgspec import Struct

from actors.domain.ids import CategoryId, ItemId, Micros, OrderId, ProductId, SessionId
from actors.domain.model import (
    AcquisitionType,
    Anomaly,
    AppliedCommand,
    Category,
    EndedSession,
    EndReason,
    InstallationStatus,
    LibraryItem,
    LiveSession,
)

NO_ITEM = ItemId(b"")
NO_ORDER = OrderId(b"")


class SessionStarted(Struct, frozen=True, array_like=True, tag=1, gc=False):
    session: LiveSession
    is_hidden: bool = False


class HeartbeatAccepted(Struct, frozen=True, array_like=True, tag=2, gc=False):
    session_id: SessionId
    at: Micros
    interval_s: int


class SessionEnded(Struct, frozen=True, array_like=True, tag=3, gc=False):
    """``total_playtime_s`` is the item's total with this session in it, ``decided_at`` when it was counted."""

    session_id: SessionId
    product_id: ProductId
    ended_at: Micros
    duration_s: int
    reason: EndReason
    total_playtime_s: int
    is_hidden: bool = False
    decided_at: Micros = Micros(0)


class ItemAdded(Struct, frozen=True, array_like=True, tag=4, gc=False):
    """An item is new, back, or upgraded in place by ``order_id``: it is ``item`` now."""

    item: LibraryItem
    order_id: OrderId = NO_ORDER


class AcquisitionRecorded(Struct, frozen=True, array_like=True, tag=5, gc=False):
    """What is known of an order and product from now on; replaces what was known."""

    order_id: OrderId
    product_id: ProductId
    at: Micros
    acquisition_type: AcquisitionType | None = "purchase"
    added_at: Micros | None = None
    refunded_at: Micros | None = None


class InstallationChanged(Struct, frozen=True, array_like=True, tag=6, gc=False):
    """``at`` is the install event's own time, ``decided_at`` when it was applied."""

    product_id: ProductId
    status: InstallationStatus
    at: Micros
    item_id: ItemId = NO_ITEM
    is_hidden: bool = False
    decided_at: Micros = Micros(0)


class AnomalyRecorded(Struct, frozen=True, array_like=True, tag=7, gc=False):
    anomaly: Anomaly


class CommandApplied(Struct, frozen=True, array_like=True, tag=8, gc=False):
    applied: AppliedCommand


class OfflinePlayed(Struct, frozen=True, array_like=True, tag=60, gc=False):
    """``total_playtime_s`` is the item's total with this session in it. ``live_session_id`` is the live session that
    might come to count some of its time too, and must not."""

    session: EndedSession
    total_playtime_s: int
    live_session_id: SessionId | None = None
    is_hidden: bool = False
    decided_at: Micros = Micros(0)


class ItemRemoved(Struct, frozen=True, array_like=True, tag=20, gc=False):
    """The last ground for an item was taken back by the refund of ``order_id``."""

    item_id: ItemId
    product_id: ProductId
    at: Micros
    order_id: OrderId
    acquisition_type: AcquisitionType
    is_hidden: bool


class ItemFellBack(Struct, frozen=True, array_like=True, tag=21, gc=False):
    """The item shows another ground now: one that the refund of ``order_id`` left, or that of ``order_id``, which came
    late and is the older of two of one rank."""

    item_id: ItemId
    product_id: ProductId
    at: Micros
    order_id: OrderId
    acquisition_type: AcquisitionType
    added_at: Micros
    is_hidden: bool


class ItemPatch(Struct, frozen=True, array_like=True, gc=False):
    """What an item is now; ``changed`` names the fields that differ from before, as the wire names them."""

    item_id: ItemId
    product_id: ProductId
    is_hidden: bool
    user_rating: int | None
    category_ids: tuple[CategoryId, ...]
    changed: tuple[str, ...]


class ItemsPatched(Struct, frozen=True, array_like=True, tag=22, gc=False):
    """One event for many items, so that a change of thousands costs one pass. ``change_id`` makes two changes of an
    item at one moment two events for the world."""

    patches: tuple[ItemPatch, ...]
    at: Micros
    change_id: bytes


class CategorySaved(Struct, frozen=True, array_like=True, tag=23, gc=False):
    """New, or renamed."""

    category: Category


class CategoryDeleted(Struct, frozen=True, array_like=True, tag=24, gc=False):
    category_id: CategoryId
    at: Micros


LibraryEvent = (
    ItemAdded
    | AcquisitionRecorded
    | InstallationChanged
    | ItemRemoved
    | ItemFellBack
    | ItemsPatched
    | CategorySaved
    | CategoryDeleted
)
"""What ``library_part`` evolves."""

Event = (
    HeartbeatAccepted | SessionStarted | SessionEnded | OfflinePlayed | AnomalyRecorded | CommandApplied | LibraryEvent
)
