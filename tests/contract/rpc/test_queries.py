"""What the query service answers (R-RPC-1, R-RPC-4)."""

import grpc
from library.v1 import library_query_service_pb2 as pb

from actors.domain.ids import ProductId, format_id
from actors.domain.replies import Overloaded, Unavailable
from tests.support.actor import an_id
from tests.support.rpc_door import GAME, OTHER_GAME, OTHER_USER, USER, OpenRpcDoor, access, ending


async def test_access_is_told_with_its_date_and_without_it_nothing_is_said(door: OpenRpcDoor) -> None:
    """R-RPC-1: `acquisition_date` is unset without access."""
    queries = door.queries()

    owned = await queries.CheckGameAccess(access())
    missing = await queries.CheckGameAccess(access(product=OTHER_GAME))
    unknown = await queries.CheckGameAccess(access(user=OTHER_USER))

    assert owned.has_access
    assert owned.acquisition_date.ToMicroseconds() == door.engine.now
    assert not missing.has_access
    assert not missing.HasField("acquisition_date")
    assert unknown == pb.CheckGameAccessResponse()


async def test_items_are_whole_beyond_a_page_and_hidden_ones_are_among_them(door: OpenRpcDoor) -> None:
    """R-RPC-4: an empty filter is all items; pages above 1,000 items."""
    many = [ProductId(an_id(number)) for number in range(1, 3501)]
    door.engine.buy(OTHER_USER, *many)
    door.engine.install(OTHER_USER, many[0])
    queries = door.queries()

    answer = await queries.GetLibraryItems(pb.GetLibraryItemsRequest(user_id=format_id(OTHER_USER)))

    assert [item.product_id for item in answer.items] == [format_id(product) for product in many]
    first = answer.items[0]
    assert (first.installation_status, first.total_playtime_seconds) == ("installed", 0)
    assert first.added_at.ToMicroseconds() == door.engine.now


async def test_a_filter_picks_items_and_an_unknown_user_has_none(door: OpenRpcDoor) -> None:
    """R-RPC-4."""
    queries = door.queries()
    wanted = [format_id(OTHER_GAME), format_id(GAME), format_id(GAME)]

    some = await queries.GetLibraryItems(pb.GetLibraryItemsRequest(user_id=format_id(USER), product_ids_filter=wanted))
    nobody = await queries.GetLibraryItems(pb.GetLibraryItemsRequest(user_id=format_id(OTHER_USER)))

    assert [item.product_id for item in some.items] == [format_id(GAME)]
    assert nobody == pb.GetLibraryItemsResponse()


async def test_what_is_no_id_is_named_by_its_field(door: OpenRpcDoor) -> None:
    """R-RPC-3: google.rpc details."""
    queries = door.queries()

    bad_user = await ending(queries.CheckGameAccess(pb.CheckGameAccessRequest(user_id="me", product_id="x")))
    bad_filter = await ending(
        queries.GetLibraryItems(pb.GetLibraryItemsRequest(user_id=format_id(USER), product_ids_filter=["", "x"]))
    )

    assert bad_user.code is grpc.StatusCode.INVALID_ARGUMENT
    assert bad_user.violations == ["user_id"]
    assert bad_user.info is not None
    assert (bad_user.info.reason, bad_user.info.domain) == ("VALIDATION_ERROR", "library.v1")
    assert bad_filter.violations == ["product_ids_filter[0]"]


async def test_a_service_that_is_away_says_when_to_come_back(door: OpenRpcDoor) -> None:
    """R-RPC-3: UNAVAILABLE with RetryInfo."""
    queries = door.queries()
    door.engine.answer_instead = Overloaded("mailbox", retry_after_s=3)
    overloaded = await ending(queries.CheckGameAccess(access()))
    door.engine.answer_instead = Unavailable("no host serves this user now")
    away = await ending(queries.CheckGameAccess(access()))

    assert (overloaded.code, overloaded.retry_after_s) == (grpc.StatusCode.UNAVAILABLE, 3.0)
    assert (away.code, away.retry_after_s) == (grpc.StatusCode.UNAVAILABLE, 1.0)


async def test_a_bug_is_an_incident_and_the_next_call_is_answered(door: OpenRpcDoor) -> None:
    """R-RPC-3."""
    queries = door.queries()
    door.engine.raise_instead = KeyError("a secret of ours")
    crashed = await ending(queries.CheckGameAccess(access()))
    door.engine.raise_instead = None

    assert crashed.code is grpc.StatusCode.INTERNAL
    assert "incident" in crashed.message
    assert "secret" not in crashed.message
    assert (await queries.CheckGameAccess(access())).has_access


async def test_a_batch_answers_every_pair_in_order_in_both_forms(door: OpenRpcDoor) -> None:
    """R-RPC-4."""
    pairs = [(USER, GAME), (OTHER_USER, GAME), (USER, OTHER_GAME), (USER, GAME)] * 2_500
    queries = door.queries()

    plain = await queries.CheckGameAccessBatch(
        pb.CheckGameAccessBatchRequest(checks=[access(user, product) for user, product in pairs])
    )
    packed = await queries.CheckGameAccessBatch(
        pb.CheckGameAccessBatchRequest(packed_checks=b"".join(user + product for user, product in pairs))
    )

    granted, denied = pb.ACCESS_GRANTED, pb.ACCESS_DENIED
    assert [one.access for one in plain.results] == [granted, denied, denied, granted] * 2_500
    assert plain.results[0].acquisition_date.ToMicroseconds() == door.engine.now
    assert not plain.results[1].HasField("acquisition_date")
    assert list(packed.packed_results) == [granted, denied, denied, granted] * 2_500
    assert (plain.unknown_count, packed.unknown_count) == (0, 0)


async def test_a_pair_that_nobody_answers_is_unknown_and_the_others_stand(door: OpenRpcDoor) -> None:
    """R-RPC-4: partial failure has a meaning of its own, in the time the caller gave."""
    door.engine.silent_users.add(OTHER_USER)
    request = pb.CheckGameAccessBatchRequest(packed_checks=USER + GAME + OTHER_USER + GAME + USER + OTHER_GAME)

    answer = await door.queries().CheckGameAccessBatch(request, timeout=1.0)

    assert list(answer.packed_results) == [pb.ACCESS_GRANTED, pb.ACCESS_UNKNOWN, pb.ACCESS_DENIED]
    assert answer.unknown_count == 1


async def test_a_batch_that_is_wrong_is_refused_whole(door: OpenRpcDoor) -> None:
    """R-RPC-4: at most 10,000 pairs, in one form."""
    queries = door.queries()
    both = pb.CheckGameAccessBatchRequest(checks=[access()], packed_checks=USER + GAME)
    torn = pb.CheckGameAccessBatchRequest(packed_checks=(USER + GAME)[:-1])
    many = pb.CheckGameAccessBatchRequest(packed_checks=(USER + GAME) * 10_001)
    bad = pb.CheckGameAccessBatchRequest(checks=[access(), pb.CheckGameAccessRequest(user_id="x")])

    assert (await ending(queries.CheckGameAccessBatch(both))).violations == ["packed_checks"]
    assert (await ending(queries.CheckGameAccessBatch(torn))).violations == ["packed_checks"]
    assert (await ending(queries.CheckGameAccessBatch(many))).violations == ["packed_checks"]
    wrong = await ending(queries.CheckGameAccessBatch(bad))
    assert wrong.violations == ["checks[1].user_id", "checks[1].product_id"]
    assert not door.engine.calls, "nothing was asked"
    assert await queries.CheckGameAccessBatch(pb.CheckGameAccessBatchRequest()) == pb.CheckGameAccessBatchResponse()
