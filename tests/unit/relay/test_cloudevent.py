"""What is published, read back by an independent CloudEvents reader and the schema files."""

from typing import get_args

import pytest

from actors.domain.events import (
    Event,
    InstallationChanged,
    ItemAdded,
    ItemFellBack,
    ItemPatch,
    ItemRemoved,
    ItemsPatched,
    SessionEnded,
    SessionStarted,
)
from actors.domain.ids import CategoryId, ItemId, Micros, OrderId, ProductId, SessionId, UserId, format_id
from actors.domain.model import AcquisitionType, EndReason, InstallationStatus, LibraryItem, LiveSession, Platform
from actors.domain.publishing import published
from actors.relay.cloudevent import encode
from tests.support.events import parse_body

USER = UserId(bytes(range(16)))
PRODUCT = ProductId(b"p" * 16)
SESSION = SessionId(b"s" * 16)
AT = Micros(1_710_493_200_000_000)

STARTED = [
    SessionStarted(LiveSession(SESSION, PRODUCT, AT, AT, 60, "", platform)) for platform in (None, *get_args(Platform))
]
ENDED = [SessionEnded(SESSION, PRODUCT, AT, 3600, reason, 75600) for reason in get_args(EndReason)]
ITEM, ORDER = ItemId(b"i" * 16), OrderId(b"o" * 16)
ADDED = [
    ItemAdded(LibraryItem(ITEM, PRODUCT, AT, acquisition_type), ORDER) for acquisition_type in get_args(AcquisitionType)
]
PATCHES = [
    ItemPatch(ITEM, PRODUCT, False, None, (), ("user_rating",)),
    ItemPatch(ITEM, PRODUCT, True, 5, (CategoryId(b"c" * 16),), ("is_hidden", "user_rating", "category_ids")),
]
CHANGED = [
    ItemRemoved(ITEM, PRODUCT, AT, ORDER, "gift", True),
    ItemFellBack(ITEM, PRODUCT, AT, ORDER, "free_to_play", AT, False),
    *[InstallationChanged(PRODUCT, status, AT, ITEM, True, AT) for status in get_args(InstallationStatus)],
    *[ItemsPatched((patch,), AT, b"change") for patch in PATCHES],
]


@pytest.mark.parametrize("event", [*STARTED, *ENDED, *ADDED, *CHANGED])
def test_a_published_event_is_a_valid_cloudevent_with_the_data_of_its_schema(event: Event) -> None:
    """R-EVT-1, R-EVT-6"""
    (integration,) = published(USER, event)

    read = parse_body(encode(integration, USER))

    assert read.get_id() == integration.event_id
    assert read.get_type() == integration.type
    assert read.get_subject() == integration.subject
    assert read.get_time().isoformat() == "2024-03-15T09:00:00+00:00"
    assert read.get_datacontenttype() == "application/json"
    assert read.get_extension("partitionkey") == format_id(USER)
    assert read.get_data() == integration.data


def test_the_same_event_is_the_same_bytes_every_time() -> None:
    """R-EVT-2: a replayed journal publishes nothing that differs."""
    (first,), (second,) = (published(USER, ENDED[0]) for _ in range(2))
    assert encode(first, USER) == encode(second, USER)


def test_every_change_of_a_batch_is_an_event_of_its_own() -> None:
    """R-EVT-2: two changes of an item at one moment have two ids, and so have two refunds."""
    both = list(published(USER, ItemsPatched((PATCHES[0], PATCHES[1]), AT, b"change")))
    again = list(published(USER, ItemsPatched((PATCHES[0],), AT, b"another")))
    assert len({event.event_id for event in (*both, *again)}) == 3
    orders = [ItemRemoved(ITEM, PRODUCT, AT, OrderId(bytes([n]) * 16), "gift", True) for n in range(2)]
    assert len({event.event_id for order in orders for event in published(USER, order)}) == 2
