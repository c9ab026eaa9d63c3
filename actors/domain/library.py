"""The library: purchases put items in, install events set their state, pages are read (R-LIB-1, 2, 5, 6, 8)."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from actors.domain.commands import AddPurchase, ChangeInstallation, GetItem, ItemSort, ListItems
from actors.domain.context import Context
from actors.domain.events import Event, InstallationChanged, ItemAdded, PurchaseApplied
from actors.domain.ids import ItemId, Micros, ProductId
from actors.domain.model import Aggregate, Library, LibraryItem, NotLoaded, PurchaseKey, User
from actors.domain.replies import Answer, Done, ItemsPage, OneItem, Refused

Decision = tuple[Sequence[Event], Answer]


def library_of(user: User) -> Library:
    """The user's library; ``NotLoaded`` when it is not in memory."""
    if user.library is None:
        raise NotLoaded(Aggregate.LIBRARY)
    return user.library


def decide_purchase(user: User, command: AddPurchase, context: Context) -> Decision:
    """Each product of an order once, however often the event comes. A product that another order brought already
    stays one item; the purchase is remembered all the same, for a refund to find."""
    library = library_of(user)
    events: list[Event] = []
    for product_id in dict.fromkeys(command.product_ids):
        if PurchaseKey(command.order_id, product_id) in library.purchases:
            continue
        events.append(PurchaseApplied(command.order_id, product_id, context.now))
        if product_id not in library.items:
            added_at = Micros(min(command.purchased_at, context.now))
            events.append(ItemAdded(LibraryItem(ItemId(context.new_id()), product_id, added_at, "purchase")))
    return events, Done(changed=bool(events))


def decide_installation(user: User, command: ChangeInstallation, context: Context) -> Decision:
    """Compared by the event's own time: older than, or the same as, the last one applied changes nothing. A time in the
    future counts as now: a client whose clock is wrong must not block the events that follow. For a product that is
    not owned it is acknowledged without effect."""
    item = library_of(user).items.get(command.product_id)
    at = min(command.at, context.now)
    if item is None or (item.install_event_at is not None and at <= item.install_event_at):
        return (), Done(changed=False)
    return [InstallationChanged(command.product_id, command.status, at)], Done()


def decide_list_items(user: User, command: ListItems, _context: Context) -> Decision:
    items = [
        item
        for item in library_of(user).items.values()
        if not item.is_hidden and command.status in (None, item.installation_status)
    ]
    items.sort(key=_SORT_KEYS[command.sort_by])
    first = (command.page - 1) * command.limit
    return (), ItemsPage(items[first : first + command.limit], len(items))


def decide_get_item(user: User, command: GetItem, _context: Context) -> Decision:
    for item in library_of(user).items.values():
        if item.item_id == command.item_id:
            return (), OneItem(item)
    return (), Refused("LIBRARY_ITEM_NOT_FOUND")


def evolve_item_added(user: User, event: ItemAdded) -> User:
    library = library_of(user)
    return replace(user, library=replace(library, items={**library.items, event.item.product_id: event.item}))


def evolve_purchase(user: User, event: PurchaseApplied) -> User:
    library = library_of(user)
    key = PurchaseKey(event.order_id, event.product_id)
    return replace(user, library=replace(library, purchases=library.purchases | {key}))


def evolve_installation(user: User, event: InstallationChanged) -> User:
    library = library_of(user)
    item = library.items[event.product_id]
    items: dict[ProductId, LibraryItem] = {
        **library.items,
        event.product_id: replace(item, installation_status=event.status, install_event_at=event.at),
    }
    return replace(user, library=replace(library, items=items))


_SortKey = Callable[[LibraryItem], tuple[bool, int, bytes]]

_SORT_KEYS: dict[ItemSort, _SortKey] = {
    "name_asc": lambda item: (False, 0, item.product_id),
    "last_played_desc": lambda item: (item.last_played_at is None, -(item.last_played_at or 0), item.item_id),
    "added_desc": lambda item: (False, -item.added_at, item.item_id),
    "playtime_desc": lambda item: (False, -item.total_playtime_s, item.item_id),
}
"""Never played sorts last; ties by id (R-LIB-8). Without a catalog there are no titles: ``name_asc`` is by product."""
