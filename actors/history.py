"""Reads that grow without bound with a user's life: past sessions and statistics (R-PT-5).

They come from the tables, not from the actor. A door asks for them after a ``Settle`` command was answered, so that the
tables show everything that happened to the user before (promise 5).

Implemented by ``persistence.postgres`` on a pool of its own, never on a host's sessions. Every call has a deadline of
its own inside the implementation and raises ``actors.ports.StoreUnavailable``; trying again may help.
"""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from msgspec import Struct

from actors.domain.ids import ClientSessionId, Micros, ProductId, SessionId, UserId
from actors.domain.model import EndReason, Platform

STATS_DAYS = 14
"""How many UTC days ``PlaytimeStats.per_day`` and ``last_two_weeks_s`` cover, today included."""

STATS_PRODUCTS = 100
"""The most products that ``PlaytimeStats.per_product`` names."""


class SessionRecord(Struct, frozen=True, kw_only=True):
    """A session as the tables show it; ``ended_at``, ``duration_s`` and ``end_reason`` are None while it is live.
    ``client_id`` is what the client called it that recorded it offline, None for all others."""

    session_id: SessionId
    product_id: ProductId
    started_at: Micros
    last_heartbeat_at: Micros
    ended_at: Micros | None = None
    duration_s: int | None = None
    end_reason: EndReason | None = None
    device_id: str = ""
    platform: Platform | None = None
    client_id: ClientSessionId | None = None


class HistoryPosition(Struct, frozen=True, kw_only=True):
    """A place in a user's history, which is ordered by (start, session id), newest first."""

    started_at: Micros
    session_id: SessionId


class DayPlaytime(Struct, frozen=True, kw_only=True):
    """Seconds played in one UTC day."""

    day: date
    seconds: int


class ProductPlaytime(Struct, frozen=True, kw_only=True):
    product_id: ProductId
    seconds: int
    sessions: int


class PlatformPlaytime(Struct, frozen=True, kw_only=True):
    """``platform`` is None for sessions whose client named none."""

    platform: Platform | None
    seconds: int
    sessions: int


class PlaytimeStats(Struct, frozen=True, kw_only=True):
    """Completed sessions only, as for an item's total (R-PT-9), so every figure adds up to ``total_s``.

    ``per_day`` has only days with play, oldest first, all within the last ``STATS_DAYS`` UTC days up to the day of
    ``now``; ``last_two_weeks_s`` is their sum. A session over midnight is split without losing or doubling a second:
    a day gets floor(seconds that it counts from its start to the day's or the session's end) minus what the days before
    got. ``per_product`` is the ``STATS_PRODUCTS`` most played, most played first, ties by id; ``per_platform`` has
    all, most played first.
    """

    total_s: int
    total_sessions: int
    last_two_weeks_s: int
    per_day: Sequence[DayPlaytime] = ()
    per_product: Sequence[ProductPlaytime] = ()
    per_platform: Sequence[PlatformPlaytime] = ()


class SessionHistory(Protocol):
    async def page(
        self,
        user_id: UserId,
        *,
        product_id: ProductId | None,
        before: HistoryPosition | None,
        limit: int,
    ) -> list[SessionRecord]:
        """At most ``limit`` sessions of the user, live ones too, newest first, strictly older than ``before``."""
        ...

    async def stats(self, user_id: UserId, *, now: Micros) -> PlaytimeStats:
        """``now`` is service time."""
        ...
