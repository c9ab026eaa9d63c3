"""What can be asked of a user's actor. Each travels in a link frame; writes and reads alike are decided in order.

``remembered`` commands carry an id whose answer is stored with their effect; the others are idempotent by the state
they meet (ARCHITECTURE.md's rule: heartbeat, end and install status need no memory).
"""

from typing import ClassVar, Literal

from msgspec import Struct

from actors.domain.ids import CategoryId, ClientSessionId, ItemId, Micros, OrderId, ProductId, SessionId, ShardId, Term
from actors.domain.model import AcquisitionType, InstallationStatus, Platform

ItemSort = Literal["name_asc", "last_played_desc", "added_desc", "playtime_desc"]


class StartSession(Struct, frozen=True, array_like=True, tag=1, gc=False):
    """R-PT-1, R-PT-2. A client that names no device is the device ``""``: two of them share one session."""

    remembered: ClassVar[bool] = True
    product_id: ProductId
    device_id: str = ""
    platform: Platform | None = None


class Heartbeat(Struct, frozen=True, array_like=True, tag=2, gc=False):
    """R-PT-1: the client still plays."""

    remembered: ClassVar[bool] = False
    session_id: SessionId


class EndSession(Struct, frozen=True, array_like=True, tag=3, gc=False):
    """R-PT-1: the client stopped playing now."""

    remembered: ClassVar[bool] = False
    session_id: SessionId


class ExpireSessions(Struct, frozen=True, array_like=True, tag=4, gc=False):
    """R-PT-3: sent by the host's own timers, never over a link."""

    remembered: ClassVar[bool] = False


class AddPurchase(Struct, frozen=True, array_like=True, tag=5, gc=False):
    """R-LIB-5: the products of one order, gift or activated key. Remembered by order and product for the user's life,
    not by an id."""

    remembered: ClassVar[bool] = False
    order_id: OrderId
    product_ids: tuple[ProductId, ...]
    purchased_at: Micros
    acquisition_type: AcquisitionType = "purchase"


class ChangeInstallation(Struct, frozen=True, array_like=True, tag=6, gc=False):
    """R-LIB-6: ``at`` is the event's own time; an older one than the last applied changes nothing."""

    remembered: ClassVar[bool] = False
    product_id: ProductId
    status: InstallationStatus
    at: Micros


class ListItems(Struct, frozen=True, array_like=True, tag=7, gc=False):
    """R-LIB-1: one page, counted from 1. With ``updated_since`` what changed from then on, newest first, whatever
    ``sort_by`` says (R-LIB-9). ``search`` is text that a title contains, by words in any order."""

    remembered: ClassVar[bool] = False
    status: InstallationStatus | None = None
    sort_by: ItemSort = "name_asc"
    page: int = 1
    limit: int = 20
    category_id: CategoryId | None = None
    search: str | None = None
    acquisition_type: AcquisitionType | None = None
    include_hidden: bool = False
    updated_since: Micros | None = None


class GetItem(Struct, frozen=True, array_like=True, tag=8, gc=False):
    """R-LIB-2."""

    remembered: ClassVar[bool] = False
    item_id: ItemId


class ListLiveSessions(Struct, frozen=True, array_like=True, tag=9, gc=False):
    """R-PT-5: the user's sessions that have not ended."""

    remembered: ClassVar[bool] = False


class Settle(Struct, frozen=True, array_like=True, tag=10, gc=False):
    """Answered once the tables show everything that happened to this user before; for reads from Postgres."""

    remembered: ClassVar[bool] = False


class CheckAccess(Struct, frozen=True, array_like=True, tag=40, gc=False):
    """R-RPC-1: since when the user has each of these products."""

    remembered: ClassVar[bool] = False
    product_ids: tuple[ProductId, ...]


class CheckManyAccess(Struct, frozen=True, array_like=True, tag=42, gc=False):
    """R-RPC-4: who has what, of many users, by shard with the term that the sender knows. A pair is the 16 bytes of a
    user and those of a product. Of a host, not of one user: it answers from memory what it can."""

    remembered: ClassVar[bool] = False
    shards: tuple[tuple[ShardId, Term, bytes], ...]


class ListOwned(Struct, frozen=True, array_like=True, tag=41, gc=False):
    """R-RPC-1: the items of these products (None: of all), by product id, those that follow ``after``."""

    remembered: ClassVar[bool] = False
    product_ids: tuple[ProductId, ...] | None = None
    after: ProductId | None = None
    limit: int = 1000


class OfflinePlay(Struct, frozen=True, array_like=True, gc=False):
    """A finished session as a client recorded it. ``session_id`` is ``offline.offline_session_id``."""

    session_id: SessionId
    client_id: ClientSessionId
    product_id: ProductId
    started_at: Micros
    ended_at: Micros
    device_id: str = ""
    platform: Platform | None = None


class AddOfflineSessions(Struct, frozen=True, array_like=True, tag=60, gc=False):
    """R-PT-6. Each session is remembered for ever by its row."""

    remembered: ClassVar[bool] = False
    sessions: tuple[OfflinePlay, ...]


class UseKey(Struct, frozen=True, array_like=True, tag=61, gc=False):
    """Notes a client's key before the request that came with it becomes many commands, each with a key of its own
    (``remembering.part_key``): another request with the same key is refused before anything is done."""

    remembered: ClassVar[bool] = False


class RefundPurchase(Struct, frozen=True, array_like=True, tag=20, gc=False):
    """R-LIB-5: an order, gift or activation is taken back. Remembered like the purchase itself; it may come first."""

    remembered: ClassVar[bool] = False
    order_id: OrderId
    product_ids: tuple[ProductId, ...]
    refunded_at: Micros


class AddFreeProduct(Struct, frozen=True, array_like=True, tag=21, gc=False):
    """R-LIB-5: whoever sends it has asked the catalog whether the product is free."""

    remembered: ClassVar[bool] = True
    product_id: ProductId


CLEAR_RATING = 0


class ItemChange(Struct, frozen=True, array_like=True, gc=False):
    """None leaves a field as it is; ``CLEAR_RATING`` takes the rating away; ``category_ids`` replaces the set."""

    item_id: ItemId
    is_hidden: bool | None = None
    user_rating: int | None = None
    category_ids: tuple[CategoryId, ...] | None = None


class ChangeItems(Struct, frozen=True, array_like=True, tag=22, gc=False):
    """R-LIB-2, R-LIB-9: each change succeeds or is refused on its own. Remembered, so that a change that is sent again
    does not undo another device's later one."""

    remembered: ClassVar[bool] = True
    changes: tuple[ItemChange, ...]


class CreateCategory(Struct, frozen=True, array_like=True, tag=23, gc=False):
    """R-LIB-3."""

    remembered: ClassVar[bool] = True
    name: str


class RenameCategory(Struct, frozen=True, array_like=True, tag=24, gc=False):
    """R-LIB-3."""

    remembered: ClassVar[bool] = True
    category_id: CategoryId
    name: str


class DeleteCategory(Struct, frozen=True, array_like=True, tag=25, gc=False):
    """R-LIB-3: the category leaves its items."""

    remembered: ClassVar[bool] = True
    category_id: CategoryId


class GetItems(Struct, frozen=True, array_like=True, tag=27, gc=False):
    """The items as they are now, for an answer to ``ChangeItems``: what is remembered of a change is small."""

    remembered: ClassVar[bool] = False
    item_ids: tuple[ItemId, ...]


class ListCategories(Struct, frozen=True, array_like=True, tag=26, gc=False):
    """R-LIB-3: all of them, by name."""

    remembered: ClassVar[bool] = False


LibraryCommand = (
    AddPurchase
    | RefundPurchase
    | AddFreeProduct
    | ChangeInstallation
    | ChangeItems
    | CreateCategory
    | RenameCategory
    | DeleteCategory
    | ListCategories
    | ListItems
    | GetItem
    | GetItems
)
"""What ``library_part`` decides."""

Command = (
    StartSession
    | Heartbeat
    | EndSession
    | ExpireSessions
    | ListLiveSessions
    | Settle
    | CheckAccess
    | CheckManyAccess
    | ListOwned
    | AddOfflineSessions
    | UseKey
    | LibraryCommand
)
