"""The body of an outbox row: a finished CloudEvent 1.0 in its structured JSON form (R-EVT-1, R-EVT-6).

It is made by the flush, not by the relay: what is stored is what is sent, byte for byte, so a retry by another release
is still the same message.
"""

import msgspec

from actors.domain.ids import UserId, format_id, format_time
from actors.domain.publishing import IntegrationEvent

CONTENT_TYPE = "application/cloudevents+json"
SOURCE = "/library-service"

_encode = msgspec.json.Encoder(order="deterministic").encode


def encode(event: IntegrationEvent, user_id: UserId) -> bytes:
    """``partitionkey`` (an extension of the CloudEvents specification) is the Kafka key: the user's id."""
    return _encode(
        {
            "specversion": "1.0",
            "id": event.event_id,
            "source": SOURCE,
            "type": event.type,
            "subject": event.subject,
            "time": format_time(event.time),
            "datacontenttype": "application/json",
            "partitionkey": format_id(user_id),
            "data": event.data,
        }
    )
