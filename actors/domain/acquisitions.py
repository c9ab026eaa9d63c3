"""What gives a user a product and what takes it back: purchases, gifts, keys, free products, refunds (R-LIB-5).

Every ground is remembered by its order and product for the user's life, so that an event that comes again, or a refund
that comes first, changes nothing twice. An item shows its best ground that stands: bought, given or activated before
free before shared, the oldest first. Without any it leaves the library, and its play stays with it for a return.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from msgspec.structs import replace

from actors.domain.commands import AddFreeProduct, AddPurchase, RefundPurchase
from actors.domain.context import Context
from actors.domain.events import AcquisitionRecorded, Event, ItemAdded, ItemFellBack, ItemRemoved
from actors.domain.ids import ItemId, Micros, OrderId, ProductId
from actors.domain.library import library_of
from actors.domain.model import (
    Acquisition,
    AcquisitionType,
    Library,
    LibraryItem,
    PurchaseKey,
    RemovedItem,
    User,
)
from actors.domain.replies import Answer, Done, OneItem

Decision = tuple[Sequence[Event], Answer]

FREE_ORDER = OrderId(sha256(b"free_to_play").digest()[:16])
"""The order of what costs nothing."""

_RANKS: dict[AcquisitionType, int] = {
    "purchase": 2,
    "gift": 2,
    "key_activation": 2,
    "free_to_play": 1,
    "family_shared_access": 0,
}


def decide_purchase(user: User, command: AddPurchase, context: Context) -> Decision:
    """Each product of an order once, however often the event comes. One whose refund came first gives nothing. A
    product that another order brought already stays one item; this ground is remembered all the same."""
    library = library_of(user)
    added_at = Micros(min(command.purchased_at, context.now))
    events: list[Event] = []
    for product_id in dict.fromkeys(command.product_ids):
        key = PurchaseKey(command.order_id, product_id)
        known = library.acquisitions.get(key)
        if known is not None and known.acquisition_type is not None:
            continue
        refunded_at = None if known is None else known.refunded_at
        acquisition = Acquisition(command.acquisition_type, added_at, refunded_at)
        events.append(_recorded(key, acquisition, context))
        if acquisition.stands:
            events += _gained(library, key, command.acquisition_type, added_at, context)
    return events, Done(changed=bool(events))


def decide_free(user: User, command: AddFreeProduct, context: Context) -> Decision:
    """A free product that was bought keeps what it is; being free is remembered, for a refund to fall back to.
    The answer has no title: whoever asks has it from the catalog, and what is remembered is small."""
    library = library_of(user)
    key = PurchaseKey(FREE_ORDER, command.product_id)
    events: list[Event] = []
    if key not in library.acquisitions:
        events.append(_recorded(key, Acquisition("free_to_play", context.now), context))
        events += _gained(library, key, "free_to_play", context.now, context)
    for event in events:
        if isinstance(event, ItemAdded):
            return events, OneItem(event.item, created=command.product_id not in library.items)
    return events, OneItem(library.items[command.product_id])


def decide_refund(user: User, command: RefundPurchase, context: Context) -> Decision:
    """Takes back what the order gave, once. A refund that overtakes its purchase leaves a tombstone for it."""
    library = library_of(user)
    refunded_at = Micros(min(command.refunded_at, context.now))
    events: list[Event] = []
    for product_id in dict.fromkeys(command.product_ids):
        key = PurchaseKey(command.order_id, product_id)
        known = library.acquisitions.get(key, Acquisition(None, refunded_at))
        if known.refunded_at is not None:
            continue
        events.append(_recorded(key, replace(known, refunded_at=refunded_at), context))
        if known.stands:
            events += _lost(library, key, context)
    return events, Done(changed=bool(events))


def evolve_recorded(user: User, event: AcquisitionRecorded) -> User:
    library = library_of(user)
    added_at = event.at if event.added_at is None else event.added_at
    acquisition = Acquisition(event.acquisition_type, added_at, event.refunded_at)
    known = {**library.acquisitions, PurchaseKey(event.order_id, event.product_id): acquisition}
    return replace(user, library=replace(library, acquisitions=known))


def evolve_added(user: User, event: ItemAdded) -> User:
    library = library_of(user)
    product_id = event.item.product_id
    removed = library.removed
    if product_id in removed:
        removed = {product: gone for product, gone in removed.items() if product != product_id}
    return replace(user, library=replace(library, items={**library.items, product_id: event.item}, removed=removed))


def evolve_removed(user: User, event: ItemRemoved) -> User:
    library = library_of(user)
    items = dict(library.items)
    item = replace(items.pop(event.product_id), updated_at=event.at)
    removed = {**library.removed, event.product_id: RemovedItem(item, event.at)}
    return replace(user, library=replace(library, items=items, removed=removed))


def evolve_fell_back(user: User, event: ItemFellBack) -> User:
    library = library_of(user)
    item = replace(
        library.items[event.product_id],
        acquisition_type=event.acquisition_type,
        added_at=event.added_at,
        updated_at=event.at,
    )
    return replace(user, library=replace(library, items={**library.items, event.product_id: item}))


def _recorded(key: PurchaseKey, acquisition: Acquisition, context: Context) -> AcquisitionRecorded:
    return AcquisitionRecorded(
        key.order_id,
        key.product_id,
        context.now,
        acquisition.acquisition_type,
        acquisition.added_at,
        acquisition.refunded_at,
    )


class _Shown(NamedTuple):
    """What an item shows of a ground."""

    acquisition_type: AcquisitionType
    added_at: Micros


def best(grounds: Iterable[_Shown]) -> _Shown:
    """The one an item shows, whatever order they came in."""
    return min(grounds, key=lambda one: (-_RANKS[one.acquisition_type], one.added_at, one.acquisition_type))


def _gained(
    library: Library, key: PurchaseKey, acquisition_type: AcquisitionType, added_at: Micros, context: Context
) -> list[Event]:
    item = library.items.get(key.product_id)
    if item is not None:
        shown, gained = _Shown(item.acquisition_type, item.added_at), _Shown(acquisition_type, added_at)
        if best((shown, gained)) == shown:
            return []
        if _RANKS[acquisition_type] == _RANKS[item.acquisition_type]:
            return [_shows(item, gained, key, context)]
    if item is None:
        item = _returning(library, key.product_id) or LibraryItem(
            ItemId(context.new_id()), key.product_id, added_at, acquisition_type
        )
    upgraded = replace(item, acquisition_type=acquisition_type, added_at=added_at, updated_at=context.now)
    return [ItemAdded(upgraded, key.order_id)]


def _returning(library: Library, product_id: ProductId) -> LibraryItem | None:
    """A product that was there before: with its id, play and what the user made of it, but not installed."""
    gone = library.removed.get(product_id)
    if gone is None:
        return None
    categories = tuple(one for one in gone.item.category_ids if one in library.categories)
    return replace(gone.item, installation_status="not_installed", category_ids=categories)


def _lost(library: Library, key: PurchaseKey, context: Context) -> list[Event]:
    """What the item is without this ground."""
    item = library.items[key.product_id]
    rest = [
        _Shown(kind, known.added_at)
        for other, known in library.acquisitions.items()
        if other.product_id == key.product_id
        and other != key
        and known.stands
        and (kind := known.acquisition_type) is not None
    ]
    if not rest:
        return [
            ItemRemoved(item.item_id, key.product_id, context.now, key.order_id, item.acquisition_type, item.is_hidden)
        ]
    left = best(rest)
    return [] if left == (item.acquisition_type, item.added_at) else [_shows(item, left, key, context)]


def _shows(item: LibraryItem, ground: _Shown, cause: PurchaseKey, context: Context) -> ItemFellBack:
    return ItemFellBack(
        item.item_id,
        item.product_id,
        context.now,
        cause.order_id,
        ground.acquisition_type,
        ground.added_at,
        item.is_hidden,
    )
