"""A user's own categories (R-LIB-3): few, of different names, and no item keeps one that is gone."""

import unicodedata
from collections.abc import Sequence

from msgspec.structs import replace

from actors.domain.commands import CreateCategory, DeleteCategory, ItemChange, ListCategories, RenameCategory
from actors.domain.context import Context
from actors.domain.events import CategoryDeleted, CategorySaved, Event
from actors.domain.ids import CategoryId
from actors.domain.library import library_of, patch_of, patched_by
from actors.domain.listing import folded
from actors.domain.model import Category, Library, User
from actors.domain.replies import Answer, Categories, Done, OneCategory, Refused

Decision = tuple[Sequence[Event], Answer]

MAX_NAME = 100
"""Characters of a category's name: the width of its column."""


def decide_create(user: User, command: CreateCategory, context: Context) -> Decision:
    library = library_of(user)
    name = tidy(command.name)
    if (refused := _refusal(library, name, None)) is not None:
        return (), refused
    if len(library.categories) >= context.policy.max_categories:
        return (), Refused("CATEGORY_LIMIT_REACHED", f"there are {len(library.categories)} categories")
    category = Category(CategoryId(context.new_id()), name, context.now, context.now)
    return [CategorySaved(category)], OneCategory(category)


def decide_rename(user: User, command: RenameCategory, context: Context) -> Decision:
    library = library_of(user)
    known = library.categories.get(command.category_id)
    if known is None:
        return (), Refused("CATEGORY_NOT_FOUND")
    name = tidy(command.name)
    if (refused := _refusal(library, name, command.category_id)) is not None:
        return (), refused
    if name == known.name:
        return (), OneCategory(known)
    category = replace(known, name=name, updated_at=context.now)
    return [CategorySaved(category)], OneCategory(category)


def decide_delete(user: User, command: DeleteCategory, context: Context) -> Decision:
    """It leaves its items in the same breath."""
    library = library_of(user)
    if command.category_id not in library.categories:
        return (), Refused("CATEGORY_NOT_FOUND")
    patches = [
        patch_of(item, ItemChange(item.item_id, category_ids=_without(item.category_ids, command.category_id)))
        for item in library.items.values()
        if command.category_id in item.category_ids
    ]
    return [*patched_by(patches, context), CategoryDeleted(command.category_id, context.now)], Done()


def decide_list(user: User, _command: ListCategories, _context: Context) -> Decision:
    categories = library_of(user).categories.values()
    return (), Categories(sorted(categories, key=lambda one: (folded(one.name), one.category_id)))


def evolve_saved(user: User, event: CategorySaved) -> User:
    library = library_of(user)
    categories = {**library.categories, event.category.category_id: event.category}
    return replace(user, library=replace(library, categories=categories))


def evolve_deleted(user: User, event: CategoryDeleted) -> User:
    """What was taken back may name it still: a product that comes back leaves out what is gone."""
    library = library_of(user)
    categories = {key: one for key, one in library.categories.items() if key != event.category_id}
    return replace(user, library=replace(library, categories=categories))


def tidy(name: str) -> str:
    """One form of a name, without white space around it."""
    return unicodedata.normalize("NFC", name).strip()


def _refusal(library: Library, name: str, own: CategoryId | None) -> Refused | None:
    """Mirrors what the table would refuse (ARCHITECTURE.md, "Flush"): a row that cannot be written stops the host."""
    if not 1 <= len(name) <= MAX_NAME:
        return Refused("VALIDATION_ERROR", f"name: from 1 to {MAX_NAME} characters")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
        return Refused("VALIDATION_ERROR", "name: control characters are not allowed")
    key = folded(name)
    if any(folded(one.name) == key for one in library.categories.values() if one.category_id != own):
        return Refused("CATEGORY_DUPLICATE", "a category of this name exists")
    return None


def _without(category_ids: tuple[CategoryId, ...], category_id: CategoryId) -> tuple[CategoryId, ...]:
    return tuple(one for one in category_ids if one != category_id)
