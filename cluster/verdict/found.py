"""What was found when everything had come to rest: the tables of the specification and the topics."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from actors.domain.ids import CategoryId, ItemId, Micros, ProductId, SessionId, UserId
from actors.domain.spans import Spans
from cluster.verdict.history import End


class FoundItem(Struct, frozen=True, kw_only=True):
    """``shown``: what the user made of it, as events word it; None where nobody changes that."""

    item_id: ItemId
    user_id: UserId
    product_id: ProductId
    total_playtime_s: int
    shown: Mapping[str, Any] | None = None


class FoundCategory(Struct, frozen=True, kw_only=True):
    category_id: CategoryId
    user_id: UserId
    name: str


class FoundSession(Struct, frozen=True, kw_only=True):
    """Live while it has no ``end``. ``offline``: brought by its client when it was over."""

    session_id: SessionId
    user_id: UserId
    product_id: ProductId
    device_id: str
    started_at: Micros
    last_heartbeat_at: Micros
    end: End | None
    offline: bool = False
    counted_elsewhere: Spans = ()


class Found(Struct, frozen=True, kw_only=True):
    """``events``: the bodies on the topic, each partition in order. ``left``: what should have moved on and has not
    (journal, outbox, unread purchases), worded. ``dead_letters``: how many there are."""

    items: Sequence[FoundItem]
    sessions: Sequence[FoundSession]
    events: Sequence[bytes]
    left: Sequence[str]
    dead_letters: int
    categories: Sequence[FoundCategory] = ()
