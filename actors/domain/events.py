"""What happened to a user: the contents of the journal. Each event holds all that ``evolve`` needs, ids and times
included, so that replaying it gives the same state."""

from msgspec import Struct

from actors.domain.ids import Micros, OrderId, ProductId, SessionId
from actors.domain.model import (
    Anomaly,
    AppliedCommand,
    EndedSession,
    EndReason,
    InstallationStatus,
    LibraryItem,
    LiveSession,
)


class SessionStarted(Struct, frozen=True, array_like=True, tag=1, gc=False):
    session: LiveSession


class HeartbeatAccepted(Struct, frozen=True, array_like=True, tag=2, gc=False):
    session_id: SessionId
    at: Micros
    interval_s: int


class SessionEnded(Struct, frozen=True, array_like=True, tag=3, gc=False):
    """``total_playtime_s`` is the item's total with this session in it."""

    session_id: SessionId
    product_id: ProductId
    ended_at: Micros
    duration_s: int
    reason: EndReason
    total_playtime_s: int


class ItemAdded(Struct, frozen=True, array_like=True, tag=4, gc=False):
    item: LibraryItem


class PurchaseApplied(Struct, frozen=True, array_like=True, tag=5, gc=False):
    order_id: OrderId
    product_id: ProductId
    at: Micros


class InstallationChanged(Struct, frozen=True, array_like=True, tag=6, gc=False):
    product_id: ProductId
    status: InstallationStatus
    at: Micros


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


Event = (
    HeartbeatAccepted
    | SessionStarted
    | SessionEnded
    | ItemAdded
    | PurchaseApplied
    | InstallationChanged
    | AnomalyRecorded
    | CommandApplied
    | OfflinePlayed
)
