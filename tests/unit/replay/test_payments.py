"""The purchase events are what the payment service's would be (specification 5.2, R-EVT-1)."""

from datetime import UTC, datetime

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from actors.domain.ids import format_id
from actors.ingress.decoding import decode, routes
from actors.ingress.payloads import PURCHASED
from actors.ingress.ports import Partition, Record
from cluster.replay.payments import CONTENT_TYPE, purchase_event
from cluster.replay.plan import PlanOptions, make_plan
from cluster.replay.playfile import PlayRow
from tests.support.events import validator

AT = datetime(2024, 3, 15, 9, 55, tzinfo=UTC)
(USER,) = make_plan([PlayRow(user="u", title=str(n), hours=1) for n in range(9)], PlanOptions()).users


def test_a_purchase_is_a_cloud_event_with_the_specified_payload():
    for order in USER.orders:
        event = JSONFormat().read(CloudEvent, purchase_event(USER.user_id, order, AT))
        validator(PURCHASED).validate(event.get_data())
        assert (event.get_id(), event.get_type()) == (order.event_id, PURCHASED)
        assert event.get_time() == AT


def test_the_service_reads_the_order_out_of_it():
    order = USER.orders[0]
    record = Record(
        partition=Partition(PURCHASED, 0),
        offset=0,
        timestamp_ms=0,
        key=USER.user_id.encode(),
        value=purchase_event(USER.user_id, order, AT),
        headers=tuple(CONTENT_TYPE),
    )
    decoded = decode(record, routes({PURCHASED: PURCHASED}))
    assert format_id(decoded.user_id) == USER.user_id
    assert format_id(decoded.command.order_id) == order.order_id
    assert tuple(format_id(product_id) for product_id in decoded.command.product_ids) == order.product_ids
