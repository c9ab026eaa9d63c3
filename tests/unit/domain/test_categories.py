"""Categories and what a user changes of items, by the rules alone (R-LIB-2, R-LIB-3, R-LIB-9)."""

import pytest

from actors.domain.commands import (
    CLEAR_RATING,
    ChangeItems,
    CreateCategory,
    DeleteCategory,
    GetItems,
    ItemChange,
    ListCategories,
    ListItems,
    RenameCategory,
)
from actors.domain.context import Policy
from actors.domain.events import CategoryDeleted, ItemsPatched
from actors.domain.ids import CategoryId, CommandId, ItemId, ProductId
from actors.domain.library import refused_change
from actors.domain.model import Category, LibraryItem
from actors.domain.replies import Categories, Done, ItemsChanged, ItemsPage, OneCategory, OneItem, Refused, SomeItems
from tests.support.actor import GAME, OTHER_GAME, START, Actor, an_id

NOBODYS = CategoryId(an_id(0xDEAD))


def made(actor: Actor, name: str) -> Category:
    answer = actor.ask(CreateCategory(name))
    assert isinstance(answer, OneCategory)
    return answer.category


def listed(actor: Actor) -> list[str]:
    answer = actor.ask(ListCategories())
    assert isinstance(answer, Categories)
    return [category.name for category in answer.categories]


def owner_of(*products: object) -> tuple[Actor, list[LibraryItem]]:
    actor = Actor()
    actor.owns(GAME, OTHER_GAME)
    assert actor.user.library is not None
    return actor, list(actor.user.library.items.values())


def changed(actor: Actor, *changes: ItemChange) -> list[OneItem | Refused | None]:
    answer = actor.ask(ChangeItems(changes))
    assert isinstance(answer, ItemsChanged)
    shown = actor.ask(GetItems(tuple(change.item_id for change in changes)))
    assert isinstance(shown, SomeItems)
    return [
        item if wrong is None else refused_change(wrong) for wrong, item in zip(answer.wrong, shown.items, strict=True)
    ]


def test_categories_are_listed_by_name_without_regard_to_case() -> None:
    """R-LIB-3"""
    actor = Actor()
    for name in ("избранное", "Zelda", "Ёлки", "  еда  ", "arcade"):
        made(actor, name)
    assert listed(actor) == ["arcade", "Zelda", "еда", "Ёлки", "избранное"]


@pytest.mark.parametrize("name", ["Избранное", "избранное", "ИЗБРАННОЕ ", "И\u0306збранное".replace("И\u0306", "И")])
def test_a_name_is_unique_without_regard_to_case(name: str) -> None:
    """R-LIB-3: for a new category and for a renamed one; its own old name is no obstacle."""
    actor = Actor()
    first, second = made(actor, "Избранное"), made(actor, "Пройдено")
    before = actor.user
    assert actor.ask(CreateCategory(name)) == Refused("CATEGORY_DUPLICATE", "a category of this name exists")
    renamed = actor.ask(RenameCategory(second.category_id, name))
    assert renamed == Refused("CATEGORY_DUPLICATE", "a category of this name exists")
    assert actor.user is before
    answer = actor.ask(RenameCategory(first.category_id, name))
    assert isinstance(answer, OneCategory)
    assert answer.category.name == name.strip()


@pytest.mark.parametrize("name", ["", "   ", "a" * 101, "a\0b", "\ud800", "tab\there", "line\nbreak"])
def test_a_name_that_the_table_would_refuse_is_refused_before(name: str) -> None:
    """ARCHITECTURE.md, "Flush": the rules mirror every constraint."""
    actor = Actor()
    known = made(actor, "a" * 100)
    for command in (CreateCategory(name), RenameCategory(known.category_id, name)):
        answer = actor.ask(command)
        assert isinstance(answer, Refused)
        assert answer.code == "VALIDATION_ERROR"
    assert listed(actor) == ["a" * 100]


def test_there_is_a_limit() -> None:
    """Promise 6"""
    actor = Actor(Policy(max_categories=2))
    first = made(actor, "one")
    made(actor, "two")
    answer = actor.ask(CreateCategory("three"))
    assert isinstance(answer, Refused)
    assert answer.code == "CATEGORY_LIMIT_REACHED"
    assert actor.ask(DeleteCategory(first.category_id)) == Done()
    made(actor, "three")


def test_a_deleted_category_leaves_every_item_in_the_same_breath() -> None:
    """R-LIB-3: items change with it, and are told of as changed."""
    actor, items = owner_of()
    gone, kept = made(actor, "gone"), made(actor, "kept")
    both = (gone.category_id, kept.category_id)
    changed(actor, *(ItemChange(item.item_id, category_ids=both) for item in items))
    actor.passes(5)
    assert actor.ask(DeleteCategory(gone.category_id)) == Done()
    assert actor.user.library is not None
    for item in actor.user.library.items.values():
        assert (item.category_ids, item.updated_at) == ((kept.category_id,), actor.now)
    patched, deleted = actor.events[-2:]
    assert isinstance(patched, ItemsPatched)
    assert len(patched.patches) == 2
    assert deleted == CategoryDeleted(gone.category_id, actor.now)
    assert actor.ask(DeleteCategory(gone.category_id)) == Refused("CATEGORY_NOT_FOUND")
    filtered = actor.ask(ListItems(category_id=kept.category_id))
    assert isinstance(filtered, ItemsPage)
    assert filtered.total_items == 2
    assert actor.ask(ListItems(category_id=gone.category_id)) == Refused(
        "VALIDATION_ERROR", "category_id: no such category"
    )


def test_a_deletion_that_is_sent_again_is_answered_as_before() -> None:
    """Promise 2: a router that lost the answer must not turn a success into a 404."""
    actor = Actor()
    command_id = CommandId(an_id(9))
    category = made(actor, "once")
    assert actor.ask(DeleteCategory(category.category_id), command_id) == Done()
    assert actor.ask(DeleteCategory(category.category_id), command_id) == Done()


def test_an_item_is_hidden_rated_and_put_into_categories() -> None:
    """R-LIB-2: what is not named stays; the same again changes nothing."""
    actor, (item, other) = owner_of()
    category = made(actor, "shelf")
    actor.passes(1)
    change = ItemChange(item.item_id, True, 5, (category.category_id, category.category_id))
    (one,) = changed(actor, change)
    assert isinstance(one, OneItem)
    assert (one.item.is_hidden, one.item.user_rating, one.item.category_ids) == (True, 5, (category.category_id,))
    before = actor.user
    changed(actor, change, ItemChange(other.item_id))
    assert actor.user is before
    (one,) = changed(actor, ItemChange(item.item_id, user_rating=CLEAR_RATING, category_ids=()))
    assert isinstance(one, OneItem)
    assert (one.item.is_hidden, one.item.user_rating, one.item.category_ids) == (True, None, ())


def test_each_of_many_changes_succeeds_or_is_refused_on_its_own() -> None:
    """R-LIB-9: one event for all that succeed."""
    actor, (item, other) = owner_of()
    results = changed(
        actor,
        ItemChange(item.item_id, is_hidden=True),
        ItemChange(ItemId(an_id(0xBEEF)), is_hidden=True),
        ItemChange(other.item_id, category_ids=(NOBODYS,)),
        ItemChange(other.item_id, user_rating=6),
        ItemChange(other.item_id, user_rating=1),
    )
    assert [result.code if isinstance(result, Refused) else "done" for result in results] == [
        "done",
        "LIBRARY_ITEM_NOT_FOUND",
        "VALIDATION_ERROR",
        "VALIDATION_ERROR",
        "done",
    ]
    (patched,) = actor.happened(ItemsPatched)
    assert isinstance(patched, ItemsPatched)
    assert [patch.changed for patch in patched.patches] == [("is_hidden",), ("user_rating",)]


def test_what_is_remembered_of_a_hundred_changes_is_small() -> None:
    """Promise 6: answers are stored with their ids, and are bounded."""
    actor = Actor()
    products = [ProductId(an_id(number)) for number in range(100)]
    actor.owns(*products)
    assert actor.user.library is not None
    for code in (1, 6):
        changes = tuple(ItemChange(item.item_id, user_rating=code) for item in actor.user.library.items.values())
        assert isinstance(actor.ask(ChangeItems(changes), CommandId(an_id(code))), ItemsChanged)


def test_a_single_refused_change_is_not_remembered() -> None:
    """ENGINE.md, "Command ids": trying again may succeed."""
    actor, (item, _) = owner_of()
    command_id = CommandId(an_id(9))
    answer = actor.ask(ChangeItems((ItemChange(item.item_id, category_ids=(NOBODYS,)),)), command_id)
    assert isinstance(answer, Refused)
    assert actor.user.commands == {}


def test_a_change_that_is_sent_again_does_not_undo_a_later_one() -> None:
    """Promises 2 and 5: two devices, and a router that lost the first answer."""
    actor, (item, _) = owner_of()
    first = ChangeItems((ItemChange(item.item_id, user_rating=1),))
    actor.ask(first, CommandId(an_id(9)))
    changed(actor, ItemChange(item.item_id, user_rating=5))
    actor.ask(first, CommandId(an_id(9)))
    assert actor.user.library is not None
    assert actor.user.library.items[item.product_id].user_rating == 5


def test_a_changed_item_is_changed_now_and_time_never_runs_back() -> None:
    """R-LIB-9: the latest change of a library never moves back."""
    actor, (item, _) = owner_of()
    actor.passes(30)
    changed(actor, ItemChange(item.item_id, is_hidden=True))
    assert actor.user.last_event_at == actor.now == START + 30_000_000
