"""What other services are told about a library."""

from actors.domain.commands import AddFreeProduct, CheckAccess, ListOwned, RefundPurchase
from actors.domain.ids import OrderId, ProductId
from actors.domain.replies import AccessSince, OwnedItems
from tests.support.actor import GAME, OTHER_GAME, START, Actor, an_id


def owned(actor: Actor, command: ListOwned) -> OwnedItems:
    answer = actor.ask(command)
    assert isinstance(answer, OwnedItems)
    return answer


def test_access_begins_with_the_acquisition_and_is_told_for_each_product_in_order() -> None:
    """R-RPC-1."""
    actor = Actor()
    actor.owns(GAME)
    before = len(actor.events)

    answer = actor.ask(CheckAccess((OTHER_GAME, GAME, OTHER_GAME)))

    assert answer == AccessSince([None, START, None])
    assert len(actor.events) == before, "asking changes nothing"


def test_what_was_refunded_is_no_access_and_what_is_free_is() -> None:
    """R-RPC-1: every item counts, however it was acquired, as long as it is there."""
    actor = Actor()
    actor.owns(GAME, order=7)
    actor.ask(AddFreeProduct(OTHER_GAME))

    actor.ask(RefundPurchase(OrderId(an_id(7)), (GAME,), actor.now))

    assert actor.ask(CheckAccess((GAME, OTHER_GAME))) == AccessSince([None, START])


def test_a_user_nobody_has_heard_of_has_nothing() -> None:
    """R-RPC-4: an empty list, not an error."""
    assert owned(Actor(), ListOwned()) == OwnedItems([], more=False)
    assert Actor().ask(CheckAccess((GAME,))) == AccessSince([None])


def test_pages_follow_each_other_whole_also_when_items_come_in_between() -> None:
    """R-RPC-4: pages above 1,000 items."""
    actor = Actor()
    products = [ProductId(an_id(2 * number)) for number in range(1, 2501)]
    actor.owns(*products)

    first = owned(actor, ListOwned(limit=1000))
    actor.owns(ProductId(an_id(1)), ProductId(an_id(4001)), order=2)
    second = owned(actor, ListOwned(limit=1000, after=first.items[-1].product_id))
    third = owned(actor, ListOwned(limit=1000, after=second.items[-1].product_id))

    seen = [item.product_id for page in (first, second, third) for item in page.items]
    assert set(products) <= set(seen)
    assert seen == sorted(set(seen))
    assert (first.more, second.more, third.more) == (True, True, False)


def test_a_filter_names_products_and_the_user_has_some_of_them() -> None:
    """R-RPC-1."""
    actor = Actor()
    actor.owns(GAME, OTHER_GAME)

    answer = owned(actor, ListOwned((ProductId(an_id(77)), GAME)))

    assert [item.product_id for item in answer.items] == [GAME]
