"""The library's part of a user's actor: which of its rules decides a command, which evolves an event."""

from collections.abc import Sequence
from typing import assert_never

from actors.domain import acquisitions, categories, library
from actors.domain.commands import (
    AddFreeProduct,
    AddPurchase,
    ChangeInstallation,
    ChangeItems,
    CreateCategory,
    DeleteCategory,
    GetItem,
    GetItems,
    LibraryCommand,
    ListCategories,
    ListItems,
    RefundPurchase,
    RenameCategory,
)
from actors.domain.context import Context
from actors.domain.events import (
    AcquisitionRecorded,
    CategoryDeleted,
    CategorySaved,
    Event,
    InstallationChanged,
    ItemAdded,
    ItemFellBack,
    ItemRemoved,
    ItemsPatched,
    LibraryEvent,
)
from actors.domain.ids import Micros
from actors.domain.model import User
from actors.domain.replies import Answer

Decision = tuple[Sequence[Event], Answer]


def decide(user: User, command: LibraryCommand, context: Context) -> Decision:  # noqa: PLR0912  # one case a command
    match command:
        case ListItems():
            return library.decide_list_items(user, command, context)
        case GetItem():
            return library.decide_get_item(user, command, context)
        case GetItems():
            return library.decide_get_items(user, command, context)
        case ChangeItems():
            return library.decide_change_items(user, command, context)
        case ChangeInstallation():
            return library.decide_installation(user, command, context)
        case AddPurchase():
            return acquisitions.decide_purchase(user, command, context)
        case RefundPurchase():
            return acquisitions.decide_refund(user, command, context)
        case AddFreeProduct():
            return acquisitions.decide_free(user, command, context)
        case CreateCategory():
            return categories.decide_create(user, command, context)
        case RenameCategory():
            return categories.decide_rename(user, command, context)
        case DeleteCategory():
            return categories.decide_delete(user, command, context)
        case ListCategories():
            return categories.decide_list(user, command, context)
        case _:
            assert_never(command)


def evolve(user: User, event: LibraryEvent) -> tuple[User, Micros]:
    """The state after the event, and when it happened in service time."""
    match event:
        case ItemAdded():
            return acquisitions.evolve_added(user, event), event.item.updated_at
        case AcquisitionRecorded():
            return acquisitions.evolve_recorded(user, event), event.at
        case ItemRemoved():
            return acquisitions.evolve_removed(user, event), event.at
        case ItemFellBack():
            return acquisitions.evolve_fell_back(user, event), event.at
        case InstallationChanged():
            return library.evolve_installation(user, event), event.decided_at
        case ItemsPatched():
            return library.evolve_patched(user, event), event.at
        case CategorySaved():
            return categories.evolve_saved(user, event), event.category.updated_at
        case CategoryDeleted():
            return categories.evolve_deleted(user, event), event.at
        case _:
            assert_never(event)
