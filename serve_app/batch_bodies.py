"""Bodies of calls that bring many things and get one result each: a result is an answer or one error (R-PT-6, R-PT-7).

Lists keep the order of the request.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from actors.domain.model import Platform
from actors.domain.offline import MAX_SESSIONS
from actors.domain.replies import OfflineRefusal
from serve_app.bodies import DeviceId, Seconds, Time, Uuid
from serve_app.errors import ErrorObject
from serve_app.many_heartbeats import MAX_BEATS


class BeatAttributes(Struct, frozen=True, forbid_unknown_fields=True):
    user_id: Annotated[Uuid, Meta(description="Whose session it is; the caller's own when absent")] | UnsetType = UNSET


class BeatData(Struct, frozen=True, forbid_unknown_fields=True):
    """``id`` is the session's."""

    type: Literal["playtimeHeartbeat"]
    id: Uuid
    attributes: BeatAttributes = BeatAttributes()


class BeatsRequest(Struct, frozen=True, forbid_unknown_fields=True):
    data: Annotated[list[BeatData], Meta(min_length=1, max_length=MAX_BEATS)]


class CountedAttributes(Struct, frozen=True):
    """What ``Library-Accepted-At`` and ``Library-Next-Heartbeat-Seconds`` say of a heartbeat that comes alone."""

    accepted_at: Time
    next_heartbeat_seconds: Seconds


class BeatResult(Struct, frozen=True):
    """Either ``attributes`` or ``error``. ``id`` is the request's own text, also where that is no UUID."""

    type: Literal["playtimeHeartbeat"]
    id: str
    attributes: CountedAttributes | UnsetType = UNSET
    error: ErrorObject | UnsetType = UNSET


class BeatResults(Struct, frozen=True):
    data: list[BeatResult]


class OfflineAttributes(Struct, frozen=True, forbid_unknown_fields=True):
    product_id: Uuid
    start_time: Time
    end_time: Time
    platform: Platform | None = None
    device_id: DeviceId | None = None


class OfflineData(Struct, frozen=True, forbid_unknown_fields=True):
    """``id`` is a UUID that the client made for this session, once and for all."""

    type: Literal["offlineSession"]
    id: Uuid
    attributes: OfflineAttributes


class OfflineRequest(Struct, frozen=True, forbid_unknown_fields=True):
    data: Annotated[list[OfflineData], Meta(min_length=1, max_length=MAX_SESSIONS)]


class OfflineResultAttributes(Struct, frozen=True):
    """``session_id`` is the id in the history, ``credited_seconds`` what no other session counts; or ``reason`` says
    why the session was refused."""

    session_id: Uuid | UnsetType = UNSET
    credited_seconds: Seconds | UnsetType = UNSET
    reason: OfflineRefusal | UnsetType = UNSET


class OfflineSessionResult(Struct, frozen=True):
    """``error`` stands beside a ``reason``."""

    type: Literal["offlineSession"]
    id: Uuid
    attributes: OfflineResultAttributes
    error: ErrorObject | UnsetType = UNSET


class OfflineSessionResults(Struct, frozen=True):
    data: list[OfflineSessionResult]
