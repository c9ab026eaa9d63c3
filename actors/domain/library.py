"""The items of a library: what install events and the user change of them, and reading them (R-LIB-1, 2, 6, 8, 9)."""

from collections.abc import Sequence
from typing import assert_never

from msgspec.structs import replace

from actors.domain.commands import (
    CLEAR_RATING,
    ChangeInstallation,
    ChangeItems,
    GetItem,
    GetItems,
    ItemChange,
    ListItems,
)
from actors.domain.context import Context
from actors.domain.events import Event, InstallationChanged, ItemPatch, ItemsPatched
from actors.domain.ids import ItemId, Micros, ProductId
from actors.domain.listing import list_items, needs_every_title
from actors.domain.model import Aggregate, Library, LibraryItem, NotLoaded, User
from actors.domain.replies import Answer, Done, ItemsChanged, OneItem, Refused, SomeItems, WrongChange

Decision = tuple[Sequence[Event], Answer]

RATINGS = range(1, 6)


def library_of(user: User) -> Library:
    """The user's library; ``NotLoaded`` when it is not in memory."""
    if user.library is None:
        raise NotLoaded(Aggregate.LIBRARY)
    return user.library


def decide_installation(user: User, command: ChangeInstallation, context: Context) -> Decision:
    """Compared by the event's own time: older than, or the same as, the last one applied changes nothing. A time in the
    future counts as now: a client whose clock is wrong must not block the events that follow. For a product that is
    not owned it is acknowledged without effect."""
    item = library_of(user).items.get(command.product_id)
    at = min(command.at, context.now)
    if item is None or (item.install_event_at is not None and at <= item.install_event_at):
        return (), Done(changed=False)
    event = InstallationChanged(command.product_id, command.status, at, item.item_id, item.is_hidden, context.now)
    return [event], Done()


def decide_list_items(user: User, command: ListItems, context: Context) -> Decision:
    """``NotLoaded`` while a title that decides the page could still be learned."""
    library = library_of(user)
    if command.category_id is not None and command.category_id not in library.categories:
        return (), Refused("VALIDATION_ERROR", "category_id: no such category")
    shelf, missing = context.titles.shelf(library.items)
    if missing and needs_every_title(command):
        raise NotLoaded(Aggregate.TITLES, products=tuple(missing))
    page = list_items(shelf, library.removed, command)
    if missing:
        lacking = tuple(one.item.product_id for one in page.items if one.item.product_id in missing)
        if lacking:
            raise NotLoaded(Aggregate.TITLES, products=lacking)
    return (), page


def decide_get_item(user: User, command: GetItem, context: Context) -> Decision:
    (item,) = _shown(library_of(user), (command.item_id,), context)
    return (), Refused("LIBRARY_ITEM_NOT_FOUND") if item is None else item


def decide_get_items(user: User, command: GetItems, context: Context) -> Decision:
    return (), SomeItems(_shown(library_of(user), command.item_ids, context))


def _shown(library: Library, item_ids: Sequence[ItemId], context: Context) -> list[OneItem | None]:
    """``NotLoaded`` while a title could still be learned."""
    wanted = set(item_ids)
    found: dict[ItemId, OneItem] = {}
    missing: list[ProductId] = []
    for item in library.items.values():
        if item.item_id in wanted:
            card = context.titles.card(item.product_id)
            if card is None:
                missing.append(item.product_id)
            else:
                found[item.item_id] = OneItem(item, card.title, card.cover_image_url)
    if missing:
        raise NotLoaded(Aggregate.TITLES, products=tuple(missing))
    return [found.get(item_id) for item_id in item_ids]


def decide_change_items(user: User, command: ChangeItems, context: Context) -> Decision:
    """Each change on its own: one that is refused does not keep the others back. A single one is refused as a whole, so
    that it is not remembered."""
    library = library_of(user)
    wanted = {change.item_id for change in command.changes}
    found = {item.item_id: item for item in library.items.values() if item.item_id in wanted}
    patches: list[ItemPatch] = []
    wrong: list[WrongChange | None] = []
    for change in command.changes:
        item = found.get(change.item_id)
        problem = _wrong(item, change, library)
        wrong.append(problem)
        if item is None or problem is not None:
            continue
        patch = patch_of(item, change)
        if patch.changed:
            patches.append(patch)
            found[change.item_id] = _patched(item, patch, context.now)
    if len(wrong) == 1 and wrong[0] is not None:
        return (), refused_change(wrong[0])
    return patched_by(patches, context), ItemsChanged(wrong)


def refused_change(wrong: WrongChange) -> Refused:
    """What a change is refused with that came alone; the detail begins with the member."""
    match wrong:
        case "item":
            return Refused("LIBRARY_ITEM_NOT_FOUND")
        case "category_ids":
            return Refused("VALIDATION_ERROR", "category_ids: no such category")
        case "user_rating":
            return Refused("VALIDATION_ERROR", "user_rating: from 1 to 5")
        case _:
            assert_never(wrong)


def patch_of(item: LibraryItem, change: ItemChange) -> ItemPatch:
    """What the item is after the change, and which of it is new."""
    is_hidden = item.is_hidden if change.is_hidden is None else change.is_hidden
    rating = item.user_rating
    if change.user_rating is not None:
        rating = None if change.user_rating == CLEAR_RATING else change.user_rating
    categories = item.category_ids if change.category_ids is None else tuple(dict.fromkeys(change.category_ids))
    changed = [
        name
        for name, differs in (
            ("is_hidden", is_hidden != item.is_hidden),
            ("user_rating", rating != item.user_rating),
            ("category_ids", categories != item.category_ids),
        )
        if differs
    ]
    return ItemPatch(item.item_id, item.product_id, is_hidden, rating, categories, tuple(changed))


def patched_by(patches: Sequence[ItemPatch], context: Context) -> list[Event]:
    """One event for all of them, or none."""
    return [ItemsPatched(tuple(patches), context.now, context.new_id())] if patches else []


def evolve_installation(user: User, event: InstallationChanged) -> User:
    library = library_of(user)
    item = library.items[event.product_id]
    changed = replace(
        item,
        installation_status=event.status,
        install_event_at=event.at,
        updated_at=Micros(max(item.updated_at, event.decided_at)),
    )
    return replace(user, library=replace(library, items={**library.items, event.product_id: changed}))


def evolve_patched(user: User, event: ItemsPatched) -> User:
    library = library_of(user)
    items = dict(library.items)
    for patch in event.patches:
        items[patch.product_id] = _patched(items[patch.product_id], patch, event.at)
    return replace(user, library=replace(library, items=items))


def _patched(item: LibraryItem, patch: ItemPatch, at: Micros) -> LibraryItem:
    return replace(
        item,
        is_hidden=patch.is_hidden,
        user_rating=patch.user_rating,
        category_ids=patch.category_ids,
        updated_at=at,
    )


def _wrong(item: LibraryItem | None, change: ItemChange, library: Library) -> WrongChange | None:
    if item is None:
        return "item"
    if change.category_ids is not None and not set(change.category_ids) <= library.categories.keys():
        return "category_ids"
    if change.user_rating is not None and change.user_rating not in (CLEAR_RATING, *RATINGS):
        return "user_rating"
    return None
