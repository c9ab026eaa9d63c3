"""What gives a product and what takes it back, by the rules alone (R-LIB-5, R-LIB-8)."""

from collections.abc import Sequence
from itertools import permutations

import pytest

from actors.domain.commands import (
    AddFreeProduct,
    AddPurchase,
    ChangeInstallation,
    ChangeItems,
    Command,
    CreateCategory,
    DeleteCategory,
    EndSession,
    ItemChange,
    RefundPurchase,
    StartSession,
)
from actors.domain.events import ItemAdded, ItemFellBack, ItemRemoved, SessionEnded
from actors.domain.ids import SECOND, CommandId, Micros, OrderId, ProductId, UserId
from actors.domain.model import AcquisitionType, LibraryItem
from actors.domain.publishing import published
from actors.domain.replies import Done, OneCategory, OneItem, Refused, SessionIsLive, SessionIsOver
from tests.support.actor import GAME, OTHER_GAME, START, Actor, an_id

ORDER, OTHER_ORDER = OrderId(an_id(1)), OrderId(an_id(2))
USER = UserId(an_id(7))
BOUGHT = Micros(START - 300 * SECOND)


def bought(
    order: OrderId = ORDER, *products: ProductId, by: AcquisitionType = "purchase", at: Micros = BOUGHT
) -> AddPurchase:
    return AddPurchase(order, products or (GAME,), at, by)


def refunded(order: OrderId = ORDER, *products: ProductId) -> RefundPurchase:
    return RefundPurchase(order, products or (GAME,), START)


def item_of(actor: Actor, product: ProductId = GAME) -> LibraryItem | None:
    assert actor.user.library is not None
    return actor.user.library.items.get(product)


def played(actor: Actor, seconds: int) -> None:
    answer = actor.ask(StartSession(GAME, "desk"))
    assert isinstance(answer, SessionIsLive)
    actor.passes(seconds)
    assert isinstance(actor.ask(EndSession(answer.session.session_id)), SessionIsOver)


@pytest.mark.parametrize("by", ["purchase", "gift", "key_activation"])
def test_a_refund_removes_the_item_once(by: AcquisitionType) -> None:
    """R-LIB-5: an order, a gift or an activation; only the products it names, and only its own."""
    actor = Actor()
    actor.ask(bought(ORDER, GAME, OTHER_GAME, by=by))
    assert actor.ask(refunded(OTHER_ORDER)) == Done()
    assert item_of(actor) is not None
    assert actor.ask(refunded()) == Done()
    assert item_of(actor) is None
    assert item_of(actor, OTHER_GAME) is not None
    before = actor.user
    assert actor.ask(refunded()) == Done(changed=False)
    assert actor.user is before
    assert len(actor.happened(ItemRemoved)) == 1
    assert actor.ask(StartSession(GAME)) == Refused("LIBRARY_ITEM_NOT_FOUND", "the product is not in the library")


def test_a_purchase_that_comes_again_after_its_refund_gives_nothing() -> None:
    """Promise 2: Kafka may deliver it twice, the second time much later."""
    actor = Actor()
    actor.ask(bought())
    actor.ask(refunded())
    assert actor.ask(bought()) == Done(changed=False)
    assert item_of(actor) is None


def test_a_refund_that_overtakes_its_purchase_leaves_a_tombstone_for_it() -> None:
    """R-LIB-5: topics have no order between them."""
    actor = Actor()
    assert actor.ask(refunded()) == Done()
    assert actor.ask(refunded()) == Done(changed=False)
    assert actor.ask(bought(ORDER, GAME, OTHER_GAME)) == Done()
    assert item_of(actor) is None
    assert item_of(actor, OTHER_GAME) is not None
    assert actor.ask(bought(ORDER, GAME, OTHER_GAME)) == Done(changed=False)
    assert actor.ask(bought(OTHER_ORDER)) == Done()
    assert item_of(actor) is not None


def test_a_free_product_is_added_once_and_answered_the_same_again() -> None:
    """R-LIB-5: with or without the command's id."""
    actor = Actor()
    command_id = CommandId(an_id(9))
    first = actor.ask(AddFreeProduct(GAME), command_id)
    assert isinstance(first, OneItem)
    assert (first.created, first.item.acquisition_type, first.item.added_at) == (True, "free_to_play", START)
    actor.passes(60)
    assert actor.ask(AddFreeProduct(GAME), command_id) == first
    again = actor.ask(AddFreeProduct(GAME))
    assert isinstance(again, OneItem)
    assert (again.created, again.item) == (False, first.item)
    assert len(actor.happened(ItemAdded)) == 1


def test_buying_what_is_free_upgrades_in_place_and_a_refund_falls_back() -> None:
    """R-LIB-8: one row, the same id, an event for the upgrade and one for the fall."""
    actor = Actor()
    free = actor.ask(AddFreeProduct(GAME))
    assert isinstance(free, OneItem)
    actor.passes(10)
    actor.ask(bought())
    upgraded = item_of(actor)
    assert upgraded is not None
    assert (upgraded.item_id, upgraded.acquisition_type, upgraded.added_at) == (free.item.item_id, "purchase", BOUGHT)
    assert len(actor.happened(ItemAdded)) == 2
    actor.passes(10)
    actor.ask(refunded())
    fallen = item_of(actor)
    assert fallen is not None
    assert (fallen.item_id, fallen.acquisition_type, fallen.added_at) == (free.item.item_id, "free_to_play", START)
    assert fallen.updated_at == actor.now
    assert (len(actor.happened(ItemFellBack)), len(actor.happened(ItemRemoved))) == (1, 0)


def test_what_was_bought_stays_bought_when_it_is_added_for_free_and_survives_its_refund() -> None:
    """R-LIB-8: the order in which grounds come does not matter."""
    actor = Actor()
    actor.ask(bought())
    answer = actor.ask(AddFreeProduct(GAME))
    assert isinstance(answer, OneItem)
    assert (answer.created, answer.item.acquisition_type) == (False, "purchase")
    assert len(actor.happened(ItemAdded)) == 1
    actor.ask(refunded())
    fallen = item_of(actor)
    assert fallen is not None
    assert fallen.acquisition_type == "free_to_play"


def test_a_second_order_of_a_product_outlives_the_refund_of_the_first() -> None:
    """R-LIB-8: and the refund of the second alone changes nothing."""
    for first_refunded, added_at in ((ORDER, Micros(BOUGHT + SECOND)), (OTHER_ORDER, BOUGHT)):
        actor = Actor()
        actor.ask(bought(ORDER, by="gift"))
        actor.ask(bought(OTHER_ORDER, at=Micros(BOUGHT + SECOND)))
        actor.ask(refunded(first_refunded))
        item = item_of(actor)
        assert item is not None
        assert item.added_at == added_at
        actor.ask(refunded(ORDER))
        actor.ask(refunded(OTHER_ORDER))
        assert item_of(actor) is None
        assert len(actor.happened(ItemRemoved)) == 1


def test_an_older_ground_that_comes_late_gives_the_item_its_time_but_no_second_game() -> None:
    """R-LIB-8: the oldest first, whatever order they come in; the world hears of the change, and of its undoing."""
    actor = Actor()
    actor.ask(bought(OTHER_ORDER, at=Micros(BOUGHT + SECOND)))
    actor.passes(10)
    actor.ask(bought(ORDER))
    item = item_of(actor)
    assert item is not None
    assert (item.added_at, item.updated_at) == (BOUGHT, actor.now)
    actor.ask(refunded(ORDER))
    item = item_of(actor)
    assert item is not None
    assert item.added_at == BOUGHT + SECOND
    assert len(actor.happened(ItemAdded)) == 1
    told = [one for event in actor.happened(ItemFellBack) for one in published(USER, event)]
    assert [one.type for one in told] == ["library.item.updated.v1"] * 2
    assert len({one.event_id for one in told}) == 2


def test_the_item_shows_the_same_ground_whatever_order_they_come_in() -> None:
    """R-LIB-8: the same while all of them stand, and when the best is gone again."""
    third, fourth = OrderId(an_id(3)), OrderId(an_id(4))
    grounds = (
        bought(ORDER, at=Micros(BOUGHT + SECOND)),
        bought(OTHER_ORDER, by="gift"),
        bought(third),
        bought(fourth, by="family_shared_access", at=Micros(BOUGHT - SECOND)),
        AddFreeProduct(GAME),
    )
    for order in permutations(grounds):
        actor = Actor()
        for ground in order:
            actor.ask(ground)
        shown = []
        for refund in (OTHER_ORDER, third):
            item = item_of(actor)
            assert item is not None
            shown.append((item.acquisition_type, item.added_at))
            actor.ask(refunded(refund))
        assert shown == [("gift", BOUGHT), ("purchase", BOUGHT)]


GROUNDS: Sequence[Command] = (bought(), bought(OTHER_ORDER, by="gift"), refunded(), AddFreeProduct(GAME), bought())


@pytest.mark.parametrize("order", list(permutations(range(5))))
def test_whatever_order_events_come_in_the_item_is_the_same(order: tuple[int, ...]) -> None:
    """R-EVT-3: what stands in the end is the gift, whatever came when."""
    actor = Actor()
    for number in order:
        actor.ask(GROUNDS[number])
    item = item_of(actor)
    assert item is not None
    assert (item.acquisition_type, item.added_at) == ("gift", BOUGHT)


def test_a_product_that_comes_back_has_its_play_and_what_the_user_made_of_it() -> None:
    """R-LIB-8: the same item; not installed, and without a category that is gone by now."""
    actor = Actor()
    actor.ask(bought())
    kept = actor.ask(CreateCategory("kept"))
    gone = actor.ask(CreateCategory("gone"))
    assert isinstance(kept, OneCategory)
    assert isinstance(gone, OneCategory)
    before = item_of(actor)
    assert before is not None
    categories = (gone.category.category_id, kept.category.category_id)
    actor.ask(ChangeItems((ItemChange(before.item_id, True, 4, categories),)))
    actor.ask(ChangeInstallation(GAME, "installed", actor.now))
    played(actor, 100)
    actor.ask(refunded())
    actor.ask(DeleteCategory(gone.category.category_id))
    actor.passes(50)
    actor.ask(bought(OTHER_ORDER))
    back = item_of(actor)
    assert back is not None
    assert (back.item_id, back.total_playtime_s, back.is_hidden, back.user_rating) == (before.item_id, 100, True, 4)
    assert (back.installation_status, back.category_ids) == ("not_installed", (kept.category.category_id,))
    assert back.updated_at == actor.now
    assert actor.user.library is not None
    assert actor.user.library.removed == {}
    played(actor, 11)
    assert actor.total() == 111


def test_a_session_that_is_live_when_its_product_is_taken_back_is_counted() -> None:
    """R-LIB-5, R-PT-4: playtime stays, and none of it is lost."""
    actor = Actor()
    actor.ask(bought())
    answer = actor.ask(StartSession(GAME, "desk"))
    assert isinstance(answer, SessionIsLive)
    actor.passes(40)
    actor.ask(refunded())
    actor.passes(2)
    assert isinstance(actor.ask(EndSession(answer.session.session_id)), SessionIsOver)
    (ended,) = actor.happened(SessionEnded)
    assert isinstance(ended, SessionEnded)
    assert ended.total_playtime_s == 42
    actor.ask(bought(OTHER_ORDER))
    assert actor.total() == 42


def test_an_install_event_of_what_was_taken_back_changes_nothing() -> None:
    """R-LIB-8: acknowledged, as for any product that is not owned."""
    actor = Actor()
    actor.ask(bought())
    actor.ask(refunded())
    before = actor.user
    assert actor.ask(ChangeInstallation(GAME, "installed", actor.now)) == Done(changed=False)
    assert actor.user is before
