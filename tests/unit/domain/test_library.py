"""The library by the rules alone (R-LIB-1, 2, 5, 6, 8)."""

from actors.domain.commands import AddPurchase, ChangeInstallation, GetItem, ListItems, StartSession
from actors.domain.events import AcquisitionRecorded, ItemAdded
from actors.domain.ids import SECOND, ItemId, Micros, OrderId, ProductId
from actors.domain.model import LibraryItem
from actors.domain.replies import Done, ItemsPage, OneItem, Refused
from tests.support.actor import GAME, OTHER_GAME, START, Actor, an_id


def items(actor: Actor, **query: object) -> list[LibraryItem]:
    answer = actor.ask(ListItems(**query))  # type: ignore[arg-type]
    assert isinstance(answer, ItemsPage)
    return [one.item for one in answer.items]


def test_a_purchase_adds_each_product_once_with_the_time_of_the_purchase() -> None:
    """R-LIB-5, R-LIB-8"""
    actor = Actor()
    bought = Micros(START - 300 * SECOND)
    actor.ask(AddPurchase(OrderId(an_id(1)), (GAME, OTHER_GAME, GAME), bought))
    assert {item.product_id for item in items(actor)} == {GAME, OTHER_GAME}
    assert all((item.added_at, item.acquisition_type) == (bought, "purchase") for item in items(actor))


def test_a_purchase_from_the_future_is_added_now() -> None:
    """R-LIB-8: never later than now."""
    actor = Actor()
    actor.ask(AddPurchase(OrderId(an_id(1)), (GAME,), Micros(START + 3_600 * SECOND)))
    assert items(actor)[0].added_at == START


def test_the_same_purchase_again_changes_nothing() -> None:
    """R-LIB-5, promise 2"""
    actor = Actor()
    purchase = AddPurchase(OrderId(an_id(1)), (GAME,), START)
    assert actor.ask(purchase) == Done()
    before = actor.user
    assert actor.ask(purchase) == Done(changed=False)
    assert actor.user is before


def test_another_order_of_the_same_product_is_remembered_and_stays_one_item() -> None:
    """R-LIB-8"""
    actor = Actor()
    actor.owns(GAME, order=1)
    actor.owns(GAME, order=2)
    assert len(actor.happened(ItemAdded)) == 1
    assert len(actor.happened(AcquisitionRecorded)) == 2


def test_an_order_that_comes_again_with_one_more_product_adds_that_one() -> None:
    """R-LIB-5"""
    actor = Actor()
    actor.ask(AddPurchase(OrderId(an_id(1)), (GAME,), START))
    actor.ask(AddPurchase(OrderId(an_id(1)), (GAME, OTHER_GAME), START))
    assert len(items(actor)) == 2


def test_install_events_set_the_status_and_older_ones_change_nothing() -> None:
    """R-LIB-6"""
    actor = Actor()
    actor.owns(GAME)
    later = Micros(START + SECOND)
    actor.passes(2)
    assert actor.ask(ChangeInstallation(GAME, "installed", later)) == Done()
    assert actor.ask(ChangeInstallation(GAME, "not_installed", START)) == Done(changed=False)
    assert actor.ask(ChangeInstallation(GAME, "not_installed", later)) == Done(changed=False)
    assert items(actor)[0].installation_status == "installed"


def test_an_install_event_from_the_future_does_not_block_those_that_follow() -> None:
    """R-LIB-6: one client with a wrong clock."""
    actor = Actor()
    actor.owns(GAME)
    actor.ask(ChangeInstallation(GAME, "installed", Micros(START + 10**15)))
    actor.passes(60)
    assert actor.ask(ChangeInstallation(GAME, "not_installed", actor.now)) == Done()
    assert items(actor)[0].installation_status == "not_installed"


def test_an_install_event_for_a_product_that_is_not_owned_is_acknowledged_without_effect() -> None:
    """R-LIB-8"""
    actor = Actor()
    assert actor.ask(ChangeInstallation(GAME, "installed", START)) == Done(changed=False)


def test_items_are_filtered_by_status() -> None:
    """R-LIB-1"""
    actor = Actor()
    actor.owns(GAME, OTHER_GAME)
    actor.ask(ChangeInstallation(GAME, "installed", START))
    assert [item.product_id for item in items(actor, status="installed")] == [GAME]
    assert [item.product_id for item in items(actor, status="not_installed")] == [OTHER_GAME]


def test_pages_follow_each_other_and_count_everything() -> None:
    """R-LIB-1"""
    actor = Actor()
    products = [ProductId(an_id(number)) for number in range(45)]
    actor.owns(*products)
    seen: list[ProductId] = []
    for page in (1, 2, 3, 4):
        answer = actor.ask(ListItems(page=page, limit=20))
        assert isinstance(answer, ItemsPage)
        assert answer.total_items == 45
        seen.extend(one.item.product_id for one in answer.items)
    assert seen == products


def test_last_played_sorts_newest_first_and_never_played_last() -> None:
    """R-LIB-1, R-LIB-8"""
    actor = Actor()
    first, second, never = (ProductId(an_id(number)) for number in (3, 2, 1))
    actor.owns(first, second, never)
    for game in (first, second):
        actor.passes(1)
        actor.ask(StartSession(game, "desk"))
    ordered = items(actor, sort_by="last_played_desc")
    assert [item.product_id for item in ordered] == [second, first, never]


def test_an_item_is_found_by_its_id_alone() -> None:
    """R-LIB-2, R-SEC-2"""
    actor = Actor()
    actor.owns(GAME)
    (item,) = items(actor)
    assert actor.ask(GetItem(item.item_id)) == OneItem(item)
    assert actor.ask(GetItem(ItemId(an_id(0xDEAD)))) == Refused("LIBRARY_ITEM_NOT_FOUND")
