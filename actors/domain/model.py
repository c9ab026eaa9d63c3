"""What one user is made of: immutable records, kept in the user's actor.

A ``User`` is a frozen value. ``evolve`` returns a new one and shares what did not change, so a batch of commands is
decided on values that nobody sees until the commit is done, and dropping them costs nothing (promise 4).

Aggregates that are not loaded are ``None``; reading one raises ``NotLoaded``, the host loads it outside the batch and
decides the command again.
"""

from enum import Enum
from typing import Literal

from msgspec import Struct, field

from actors.domain.ids import CategoryId, ClientSessionId, CommandId, ItemId, Micros, OrderId, ProductId, SessionId
from actors.domain.spans import Spans

AcquisitionType = Literal["purchase", "gift", "key_activation", "family_shared_access", "free_to_play"]
InstallationStatus = Literal["not_installed", "installing", "installed", "updating", "repair_needed", "error"]
Platform = Literal["pc", "mobile", "web"]
EndReason = Literal["client", "timeout", "takeover", "erased"]
AnomalyKind = Literal["heartbeat_too_fast", "live_session_limit"]


class LibraryItem(Struct, frozen=True, array_like=True, gc=False):
    """A product in a user's library (``user_library_items``). ``total_playtime_s`` counts completed sessions.

    ``last_ended_at`` is when the last of them ended: no later session of this user may begin before it, whatever the
    clock of the store says after a takeover. ``updated_at`` is when anything of this changed; a user's changes never go
    back in time, so the latest of them marks what a client has seen (R-LIB-9). ``user_rating`` is 1 to 5.
    """

    item_id: ItemId
    product_id: ProductId
    added_at: Micros
    acquisition_type: AcquisitionType
    installation_status: InstallationStatus = "not_installed"
    install_event_at: Micros | None = None
    last_played_at: Micros | None = None
    total_playtime_s: int = 0
    is_hidden: bool = False
    last_ended_at: Micros | None = None
    user_rating: int | None = None
    category_ids: tuple[CategoryId, ...] = ()
    updated_at: Micros = Micros(0)


class RemovedItem(Struct, frozen=True, array_like=True, gc=False):
    """An item whose last ground was taken back. It comes back as it was if the product is acquired again (R-LIB-8),
    and a client that asks what changed learns that it is gone (R-LIB-9)."""

    item: LibraryItem
    removed_at: Micros


class Category(Struct, frozen=True, array_like=True, gc=False):
    """A user's own shelf (``user_game_categories``, R-LIB-3)."""

    category_id: CategoryId
    name: str
    created_at: Micros
    updated_at: Micros


class LiveSession(Struct, frozen=True, array_like=True, gc=False):
    """A session that has not ended. ``last_heartbeat_at`` is its last proof of life, its start until the first beat.

    ``interval_s`` is the heartbeat interval last told to the client (R-PT-10). ``too_fast`` says that a beat which came
    too early was recorded since the last counted one, so that a flood of them is recorded once (R-PT-8).
    """

    session_id: SessionId
    product_id: ProductId
    started_at: Micros
    last_heartbeat_at: Micros
    interval_s: int
    device_id: str = ""
    platform: Platform | None = None
    too_fast: bool = False
    counted_elsewhere: Spans = ()


class EndedSession(Struct, frozen=True, array_like=True, gc=False):
    """A completed session; ``duration_s`` is whole seconds from start to end (R-PT-4), without what other sessions of
    the same product count (``counted_elsewhere``, R-PT-6).

    ``client_id`` is the UUID that the client gave to a session which it recorded offline, None for all others.
    """

    session_id: SessionId
    product_id: ProductId
    started_at: Micros
    last_heartbeat_at: Micros
    interval_s: int
    ended_at: Micros
    duration_s: int
    end_reason: EndReason
    device_id: str = ""
    platform: Platform | None = None
    counted_elsewhere: Spans = ()
    client_id: ClientSessionId | None = None


class PurchaseKey(Struct, frozen=True, array_like=True, gc=False):
    """What makes an acquisition the same one again: its order and the product in it."""

    order_id: OrderId
    product_id: ProductId


class Acquisition(Struct, frozen=True, array_like=True, gc=False):
    """One ground on which a user has a product, or had it; remembered for the user's life (``applied_purchases``).

    ``acquisition_type`` is None while only its refund is known: the purchase that comes later gives nothing.
    """

    acquisition_type: AcquisitionType | None
    added_at: Micros
    refunded_at: Micros | None = None

    @property
    def stands(self) -> bool:
        return self.acquisition_type is not None and self.refunded_at is None


class Library(Struct, frozen=True, gc=False):
    """All items of a user, the grounds for them, what was taken back, and the user's categories."""

    items: dict[ProductId, LibraryItem] = field(default_factory=dict)
    acquisitions: dict[PurchaseKey, Acquisition] = field(default_factory=dict)
    removed: dict[ProductId, RemovedItem] = field(default_factory=dict)
    categories: dict[CategoryId, Category] = field(default_factory=dict)


class AppliedCommand(Struct, frozen=True, array_like=True, gc=False):
    """A command's stored answer: ``reply`` is encoded by ``actors.domain.replies``; ``at`` is real time.

    ``request`` is a digest of the request that a client's key came with, empty for an id that a door made.
    """

    command_id: CommandId
    at: Micros
    reply: bytes
    request: bytes = b""


class Anomaly(Struct, frozen=True, array_like=True, gc=False):
    """Something a fair client does not do, for operators to see (R-PT-8)."""

    anomaly_id: bytes
    kind: AnomalyKind
    at: Micros
    product_id: ProductId
    session_id: SessionId | None = None


class Past(Struct, frozen=True, gc=False):
    """What the tables show of some UTC days: by product the time that completed sessions count.

    Together with ``User.ended`` and ``User.live`` this is all there is of those days, as long as ``ended`` keeps what
    ended since: the two are dropped together. ``counted`` is None when it is more than can be looked at.
    """

    days: frozenset[int]
    counted: dict[ProductId, Spans] | None = field(default_factory=dict)


class User(Struct, frozen=True, gc=False):
    """The state of one user's actor. Nothing in it leads back to it, so the garbage collector need not know a million.

    ``live`` is always complete. ``ended`` holds the ended sessions that are in memory; None marks an id that was looked
    up last and is not this user's. ``last_event_at`` keeps time from running backwards for this user.
    """

    live: tuple[LiveSession, ...] = ()
    library: Library | None = None
    ended: dict[SessionId, EndedSession | None] = field(default_factory=dict)
    commands: dict[CommandId, AppliedCommand] | None = None
    last_event_at: Micros = Micros(0)
    limit_recorded_at: Micros = Micros(0)
    past: Past | None = None


NOBODY = User()
"""What a user is before anything was loaded or happened."""


class Aggregate(Enum):
    """What can be loaded for a user on its own."""

    LIBRARY = "library"
    COMMANDS = "commands"
    ENDED_SESSION = "ended_session"
    PAST = "past"
    TITLES = "titles"


class PastQuery(Struct, frozen=True):
    """The days and the offline sessions that a rule has to know of."""

    days: tuple[int, ...]
    sessions: tuple[SessionId, ...]


class NotLoaded(Exception):
    """A rule needs what is not in memory. Nothing was decided; load it and decide again."""

    def __init__(
        self,
        aggregate: Aggregate,
        session_id: SessionId | None = None,
        products: tuple[ProductId, ...] = (),
        past: PastQuery | None = None,
    ) -> None:
        super().__init__(aggregate, session_id, products, past)
        self.aggregate = aggregate
        self.session_id = session_id
        self.products = products
        self.past = past
