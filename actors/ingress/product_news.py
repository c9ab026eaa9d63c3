"""``catalog.product.updated.v1`` to what the remembered catalog is told (specification 5.2; R-LIB-4).

The payload has no time of its own. Ordered by the event's ``time``, else by when Kafka got it; both are later than the
change, so an answer that the catalog gave in between is taken for older, and is asked for again. A time well after
Kafka's counts as that: a producer whose clock is wrong must not hide what the catalog says for as long.
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from actors.catalog import ProductUpdate
from actors.domain.ids import format_id, parse_id
from actors.ingress.envelope import Opened
from actors.ingress.payloads import read_time
from actors.ingress.ports import Record

MAX_FIELDS = 100
MAX_AHEAD_MS = 300_000
"""Of the moment when Kafka got the event: so much clocks may differ."""


class _ProductUpdated(Struct):
    product_id: str
    updated_fields: Annotated[list[str], Meta(max_length=MAX_FIELDS)] = []
    new_title: Annotated[str, Meta(min_length=1, max_length=500)] | UnsetType = UNSET
    new_cover_image_url: Annotated[str, Meta(min_length=1, max_length=2_048)] | UnsetType | None = UNSET


_payload = msgspec.json.Decoder(_ProductUpdated)


def decode_product_news(opened: Opened, record: Record) -> ProductUpdate:
    """``ValueError`` and what msgspec raises for a payload that is none."""
    payload = _payload.decode(opened.data)
    cover = payload.new_cover_image_url
    if cover is UNSET and "cover_image_url" in payload.updated_fields:
        cover = None
    at_ms = record.timestamp_ms
    if opened.time is not None:
        at_ms = min(read_time(opened.time, "time") // 1_000, at_ms + MAX_AHEAD_MS)
    return ProductUpdate(
        product_id=format_id(parse_id(payload.product_id)),
        updated_at=at_ms,
        title=payload.new_title,
        cover_image_url=cover,
    )
