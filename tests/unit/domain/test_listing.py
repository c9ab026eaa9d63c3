"""Pages of a library: filters, search, orders, and what changed since a moment (R-LIB-1, R-LIB-8, R-LIB-9)."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.domain.commands import ListItems
from actors.domain.ids import CategoryId, ItemId, Micros, ProductId
from actors.domain.listing import Card, Shelf, card_of, folded, list_items
from actors.domain.model import LibraryItem, RemovedItem
from actors.domain.replies import ItemsPage
from tests.support.actor import an_id

CATEGORY = CategoryId(an_id(0xC))


def item(number: int, **fields: Any) -> LibraryItem:
    known = {"added_at": Micros(number), "acquisition_type": "purchase", "updated_at": Micros(number)}
    return LibraryItem(ItemId(an_id(number)), ProductId(an_id(1000 + number)), **{**known, **fields})


def shelf(*items: LibraryItem, titles: dict[int, str] | None = None) -> Shelf:
    cards = {ProductId(an_id(1000 + number)): card_of(title, None) for number, title in (titles or {}).items()}
    return Shelf({one.product_id: one for one in items}, cards)


def numbers(page: ItemsPage) -> list[int]:
    return [int.from_bytes(one.item.item_id, "big") for one in page.items]


def page(of: Shelf, removed: dict[ProductId, RemovedItem] | None = None, **query: Any) -> ItemsPage:
    return list_items(of, removed or {}, ListItems(**query))


TITLES = {
    1: "Ёлка: Зимняя сказка",
    2: "ведьмак 3",
    3: "Half-Life",
    4: "Еловый бор",
    5: "DOOM",
    6: "Ведьмак 3: Дикая Охота",
}


def titled(**fields: Any) -> Shelf:
    return shelf(*(item(number, **fields) for number in range(1, 8)), titles=TITLES)


def test_names_sort_without_case_with_yo_as_ye_and_untitled_last() -> None:
    """R-LIB-1, R-LIB-8: what was never fetched comes last, by id."""
    assert numbers(page(titled())) == [5, 3, 2, 6, 1, 4, 7]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ВЕДЬМАК", [2, 6]),
        ("ведь", [2, 6]),
        ("мак", [2, 6]),
        ("охота ведьмак", [6]),
        ("дик  ох", [6]),
        ("елка", [1]),
        ("ЁЛ", [1, 4]),
        ("е\u0308лка", [1]),
        ("half life", [3]),
        ("LIFE", [3]),
        ("ｄｏｏｍ", [5]),
        ("3", [2, 6]),
        ("nothing", []),
        ("%", []),
        ("_", []),
        ("[", []),
        ("\\", []),
    ],
)
def test_search_finds_parts_of_words_in_any_order_and_script(search: str, found: list[int]) -> None:
    """R-LIB-1: the text is text, not a pattern; what has no title is not found."""
    assert sorted(numbers(page(titled(), search=search))) == found


def test_a_page_carries_the_titles() -> None:
    """R-LIB-4"""
    cards = {ProductId(an_id(1001)): Card("Title", "https://cover", folded("Title"))}
    (one, other) = list_items(Shelf({i.product_id: i for i in (item(1), item(2))}, cards), {}, ListItems()).items
    assert (one.title, one.cover_image_url) == ("Title", "https://cover")
    assert (other.title, other.cover_image_url) == (None, None)


def test_every_filter_narrows_and_all_of_them_together() -> None:
    """R-LIB-1, R-LIB-8: hidden items count in neither list nor total unless asked for."""
    of = shelf(
        item(1, installation_status="installed"),
        item(2, installation_status="error", category_ids=(CATEGORY,)),
        item(3, acquisition_type="gift", category_ids=(CATEGORY,)),
        item(4, is_hidden=True, acquisition_type="gift", category_ids=(CATEGORY,), installation_status="error"),
    )
    assert page(of).total_items == 3
    assert numbers(page(of, include_hidden=True)) == [1, 2, 3, 4]
    assert numbers(page(of, status="error")) == [2]
    assert numbers(page(of, acquisition_type="gift")) == [3]
    assert numbers(page(of, category_id=CATEGORY)) == [2, 3]
    everything = {"status": "error", "acquisition_type": "gift", "category_id": CATEGORY}
    assert numbers(page(of, **everything)) == []
    assert numbers(page(of, **everything, include_hidden=True)) == [4]


def test_orders_break_ties_by_id_and_never_played_comes_last() -> None:
    """R-LIB-8"""
    of = shelf(
        item(4, last_played_at=Micros(9), total_playtime_s=5, added_at=Micros(7)),
        item(3, last_played_at=Micros(9), total_playtime_s=5, added_at=Micros(7)),
        item(2, total_playtime_s=6, added_at=Micros(8)),
        item(1, total_playtime_s=0, added_at=Micros(9)),
    )
    assert numbers(page(of, sort_by="last_played_desc")) == [3, 4, 1, 2]
    assert numbers(page(of, sort_by="playtime_desc")) == [2, 3, 4, 1]
    assert numbers(page(of, sort_by="added_desc")) == [1, 2, 3, 4]


def gone(number: int, at: int) -> tuple[ProductId, RemovedItem]:
    one = item(number)
    return one.product_id, RemovedItem(one, Micros(at))


def test_changes_come_newest_first_with_what_left() -> None:
    """R-LIB-9: taken back, or no match any more; hidden items have left a list that does not show them."""
    of = shelf(item(1, updated_at=Micros(10)), item(2, updated_at=Micros(20), is_hidden=True), item(3), item(4))
    removed = dict([gone(5, 15), gone(6, 3)])
    since = page(of, removed, updated_since=Micros(4))
    assert numbers(since) == [1, 4]
    left = [(int.from_bytes(one.item_id, "big"), one.removed_at) for one in since.removed]
    assert left == [(2, 20), (5, 15)]
    assert (since.total_items, since.changed_at) == (4, 20)
    assert numbers(page(of, removed, updated_since=Micros(4), include_hidden=True)) == [2, 1, 4]
    assert page(of, removed, updated_since=Micros(21)).total_items == 0
    everything = page(of, removed)
    assert (everything.changed_at, everything.removed) == (20, ())


def test_pages_of_changes_count_items_and_removals_alike() -> None:
    """R-LIB-9: every entry is on exactly one page."""
    of = shelf(*(item(number, updated_at=Micros(number * 2)) for number in range(1, 6)))
    removed = dict(gone(number, number * 2 + 1) for number in range(6, 9))
    entries: list[bytes] = []
    for number in range(1, 5):
        part = page(of, removed, updated_since=Micros(0), page=number, limit=3)
        assert part.total_items == 8
        entries += [one.item.item_id for one in part.items] + [one.item_id for one in part.removed]
    assert sorted(entries) == [an_id(number) for number in range(1, 9)]


_changes = st.lists(st.tuples(st.integers(1, 12), st.sampled_from(["touch", "hide", "remove"])), max_size=30)


@settings(max_examples=200, deadline=None)
@given(_changes, _changes, st.integers(1, 5))
def test_a_client_that_only_asks_what_changed_has_what_a_full_list_shows(
    before: list[tuple[int, str]], meanwhile: list[tuple[int, str]], limit: int
) -> None:
    """R-LIB-9: although the library changes while the client turns pages."""
    items = {number: item(number, updated_at=Micros(1)) for number in range(1, 13)}
    removed: dict[ProductId, RemovedItem] = {}
    clock = 1
    copy: dict[bytes, LibraryItem] = {}

    def change(number: int, what: str) -> None:
        nonlocal clock
        clock += Random(clock).randint(0, 1)
        one = items.pop(number, None)
        if one is None:
            return
        if what == "remove":
            removed[one.product_id] = RemovedItem(one, Micros(clock))
        else:
            items[number] = item(number, updated_at=Micros(clock), is_hidden=(what == "hide") != one.is_hidden)

    def sync(since: int, changes: list[tuple[int, str]]) -> int:
        number, until, changes = 1, None, list(changes)
        while True:
            part = page(shelf(*items.values()), removed, updated_since=Micros(since), page=number, limit=limit)
            until = part.changed_at if until is None else until
            for one in part.items:
                copy[one.item.item_id] = one.item
            for left in part.removed:
                copy.pop(left.item_id, None)
            if number * limit >= part.total_items:
                return until
            number += 1
            if changes:
                change(*changes.pop())

    until = sync(0, before)
    for one in before:
        change(*one)
    until = sync(until, meanwhile)
    sync(until, [])
    full = page(shelf(*items.values()), removed, limit=100)
    assert copy == {one.item.item_id: one.item for one in full.items}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "Б", "ё", "е", ""]), st.integers(0, 3)), max_size=25), st.integers(1, 9)
)
def test_pages_of_any_order_are_the_whole_list_in_that_order(rows: list[tuple[str, int]], limit: int) -> None:
    """R-LIB-1: no item is missing or double, and a shelf that is asked again answers the same."""
    items = [
        item(n + 1, total_playtime_s=play, last_played_at=Micros(play) if play else None)
        for n, (_, play) in enumerate(rows)
    ]
    of = shelf(*items, titles={n + 1: title for n, (title, _) in enumerate(rows) if title})
    for sort_by in ("name_asc", "last_played_desc", "added_desc", "playtime_desc"):
        whole = [one.item.item_id for one in page(of, sort_by=sort_by, limit=100).items]
        parts = [
            one.item.item_id
            for number in range(1, len(rows) + 2)
            for one in page(of, sort_by=sort_by, limit=limit, page=number).items
        ]
        assert parts == whole
        assert sorted(whole) == sorted(one.item_id for one in items)
