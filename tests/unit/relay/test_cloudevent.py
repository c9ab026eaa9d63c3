"""What is published, read back by an independent CloudEvents reader and the schema files."""

from typing import get_args

import pytest

from actors.domain.events import Event, ItemAdded, SessionEnded, SessionStarted
from actors.domain.ids import ItemId, Micros, ProductId, SessionId, UserId, format_id
from actors.domain.model import EndReason, LibraryItem, LiveSession, Platform
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
ADDED = [ItemAdded(LibraryItem(ItemId(b"i" * 16), PRODUCT, AT, "purchase"))]


@pytest.mark.parametrize("event", [*STARTED, *ENDED, *ADDED])
def test_a_published_event_is_a_valid_cloudevent_with_the_data_of_its_schema(event: Event) -> None:
    """R-EVT-1, R-EVT-6"""
    integration = published(USER, event)
    assert integration is not None

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
    first, second = (published(USER, ENDED[0]) for _ in range(2))
    assert first is not None
    assert second is not None
    assert encode(first, USER) == encode(second, USER)
