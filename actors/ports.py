"""What the engine asks of the world outside, each as narrow as its consumer needs.

Implemented by ``persistence.postgres`` for real and in memory for tests and the simulator; one contract suite holds
both to what is written here.

Outcomes are exceptions of this module, never a driver's. Every call has a deadline of its own inside the
implementation, so no caller waits without end.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from actors.catalog import Product
from actors.domain.ids import (
    CategoryId,
    CommandId,
    Epoch,
    HostId,
    Micros,
    OrderId,
    ProductId,
    Seq,
    SessionId,
    ShardId,
    Term,
    UserId,
)
from actors.domain.model import (
    Acquisition,
    Anomaly,
    AppliedCommand,
    Category,
    EndedSession,
    Library,
    LibraryItem,
    LiveSession,
    RemovedItem,
)
from actors.domain.spans import Spans


class StoreError(Exception):
    """Base of what a store may raise."""


class OutcomeUnknown(StoreError):
    """The connection went away or the time was up: it may have happened or not. ``recover`` tells."""


class CommitRefused(StoreError):
    """The store said no (disk full, a constraint, a read-only server): it did not happen; later it may work."""


class Deposed(StoreError):
    """Another process owns this host now. Nothing this one writes will ever count: leave."""


class StoreUnavailable(StoreError):
    """A read could not be done now. Trying again may help; nothing was changed."""


class ShardOwner(Struct, frozen=True, array_like=True):
    """Who owns a shard. Every give raises the term."""

    shard_id: ShardId
    host_id: HostId
    term: Term


class HostAddress(Struct, frozen=True, array_like=True):
    """Where a host listens; ``address`` is ``host:port``, None while nobody serves."""

    host_id: HostId
    epoch: Epoch
    address: str | None


class ClusterMap(Struct, frozen=True):
    """One consistent reading of ``hosts`` and ``shards``."""

    hosts: Mapping[HostId, HostAddress]
    shards: Mapping[ShardId, ShardOwner]


class ClusterMapReader(Protocol):
    """For routers. May raise ``StoreUnavailable``; the last map stays usable then."""

    async def read_map(self) -> ClusterMap: ...


class Claim(Struct, frozen=True):
    """What a takeover found. ``real_now`` is the store's clock, read after the locks were taken."""

    epoch: Epoch
    flushed_seq: Seq
    next_seq: Seq
    real_now: Micros


class OutboxRow(Struct, frozen=True):
    """One integration event on its way. Rows are published in the order of (shard, term, seq, n). ``version`` says what
    the body looks like (``actors.formats``)."""

    shard_id: ShardId
    term: Term
    seq: Seq
    n: int
    user_id: UserId
    body: bytes
    version: int = 1


class PurchaseRow(Struct, frozen=True, array_like=True):
    user_id: UserId
    order_id: OrderId
    product_id: ProductId
    acquisition: Acquisition


class ShardGift(Struct, frozen=True):
    """Hand a shard over inside the flush, if it is still ours at ``term``."""

    shard_id: ShardId
    term: Term
    to_host: HostId


class FlushBatch(Struct, frozen=True):
    """The images of all dirty rows at one commit boundary: afterwards the tables equal all events up to ``up_to``.

    ``sessions_live`` and ``sessions_ended`` are whole rows, new or changed; ``heartbeats`` are rows that exist and
    whose beat alone moved: (session, last heartbeat, interval told), and ``mirrored_beats``, no rows of a table, those
    of them that the mirror is to show. ``removed`` are items that leave their table for
    the one of what was taken back, ``returned`` products that leave that one; deletes come before upserts. A purchase
    may be written again when it is refunded, or when it comes after its refund; never otherwise. One image a key; lists
    may be empty.
    """

    up_to: Seq
    items: Sequence[tuple[UserId, LibraryItem]] = ()
    sessions_live: Sequence[tuple[UserId, LiveSession]] = ()
    sessions_ended: Sequence[tuple[UserId, EndedSession]] = ()
    heartbeats: Sequence[tuple[SessionId, Micros, int]] = ()
    removed: Sequence[tuple[UserId, RemovedItem]] = ()
    returned: Sequence[tuple[UserId, ProductId]] = ()
    purchases: Sequence[PurchaseRow] = ()
    categories: Sequence[tuple[UserId, Category]] = ()
    categories_deleted: Sequence[tuple[UserId, CategoryId]] = ()
    commands: Sequence[tuple[UserId, AppliedCommand]] = ()
    anomalies: Sequence[tuple[UserId, Anomaly]] = ()
    outbox: Sequence[OutboxRow] = ()
    mirrored_beats: Sequence[tuple[UserId, LiveSession]] = ()
    gifts: Sequence[ShardGift] = ()


class HostStore(Protocol):
    """One host's journal, flush and ownership, fenced by two locks and the epoch (ARCHITECTURE.md, "Two sessions").

    One store object is one process' claim on a host. ``append``, ``check_fence`` and ``recover_journal`` are never
    called concurrently with each other, nor ``flush`` and ``recover_flush``; the two groups are, with each other.
    """

    async def take_over(self, address: str) -> Claim:
        """Ends the former owner's sessions, takes both locks, raises the epoch and publishes ``address``.

        Raises ``StoreUnavailable`` when the store is away (try again), never ``Deposed``.
        """
        ...

    def replay(self, after: Seq) -> AsyncIterator[tuple[Seq, bytes]]:
        """The journal rows after ``after``, in order. Only after ``take_over``."""
        ...

    async def append(self, seq: Seq, body: bytes) -> Micros:
        """Commits one journal row; the store's clock at the commit. ``CommitRefused`` or ``OutcomeUnknown``."""
        ...

    async def check_fence(self) -> Micros:
        """Proves that this process still owns the host, now. ``OutcomeUnknown`` when it cannot be proved."""
        ...

    async def recover_journal(self, seq: Seq | None) -> bool:
        """After ``OutcomeUnknown``: a new journal session under the same epoch, and whether row ``seq`` is there.

        ``StoreUnavailable`` when it cannot be told yet (try again), ``Deposed`` when the epoch has moved on.
        """
        ...

    async def flush(self, batch: FlushBatch) -> frozenset[ShardId]:
        """One transaction: fence, rows, outbox, progress, gifts, journal cut. The shards that were given away.

        ``CommitRefused``, ``OutcomeUnknown`` or ``Deposed``.
        """
        ...

    async def recover_flush(self) -> tuple[Seq, Mapping[ShardId, ShardOwner]]:
        """After an unknown flush: a new flush session, how far the tables are, and who owns what.

        ``StoreUnavailable`` or ``Deposed``, as for ``recover_journal``.
        """
        ...

    async def read_shards(self) -> Mapping[ShardId, ShardOwner]:
        """All shards, read on the primary. ``StoreUnavailable``."""
        ...

    async def outbox_backlog(self) -> int:
        """About how many outbox rows wait, cheaply. ``StoreUnavailable``."""
        ...

    async def close(self) -> None:
        """Ends both sessions, which releases the locks."""
        ...


class EntityLoader(Protocol):
    """Reads aggregates from the tables. Batched by the caller; each raises ``StoreUnavailable``."""

    async def live_sessions(self, shards: Sequence[ShardId]) -> list[tuple[UserId, LiveSession]]:
        """Every live session of these shards."""
        ...

    async def libraries(self, users: Sequence[UserId]) -> dict[UserId, Library]:
        """A library for every user asked for; an empty one for who has nothing."""
        ...

    async def commands(self, users: Sequence[UserId]) -> dict[UserId, dict[CommandId, AppliedCommand]]:
        """The remembered command ids of every user asked for: of the last ten minutes of real time those that doors
        made, of the last 24 hours clients' keys."""
        ...

    async def ended_sessions(self, sessions: Sequence[tuple[UserId, SessionId]]) -> dict[SessionId, EndedSession]:
        """Those of the sessions that have ended and belong to the user named with them."""
        ...

    async def counted(self, asked: Sequence[tuple[UserId, Sequence[int]]]) -> list[dict[ProductId, Spans] | None]:
        """For each user, of those UTC days (ascending): by product the time in which completed sessions lie. None for
        one of whom that is more than ``offline.MAX_COUNTED_SPANS``."""
        ...


class ClockOrigin(Struct, frozen=True):
    """The pair that ties service time to real time: ``service = service_at + (real - real_at) * rate``."""

    real_at: Micros
    service_at: Micros
    rate: float


class ClockStore(Protocol):
    async def clock_origin(self, rate: float) -> tuple[ClockOrigin, Micros]:
        """The stored origin and the store's clock now. A changed rate stores a new origin at the current service
        time, so that service time never jumps. ``StoreUnavailable``."""
        ...


class SupervisorStore(Protocol):
    """What the supervisor keeps: rows for hosts and shards, and how many hosts there are to be."""

    async def prepare(self, initial_hosts: int) -> None:
        """At first start: the 256 ``shards`` rows (term 1), spread over the hosts, and the wanted number of hosts.
        Changes nothing that exists."""
        ...

    async def wanted_hosts(self) -> int: ...

    async def set_wanted_hosts(self, count: int) -> None: ...

    async def ensure_hosts(self, host_ids: Sequence[HostId]) -> None:
        """Missing ``hosts`` rows (epoch 0, no address) and ``host_progress`` rows. None is ever deleted."""
        ...

    async def read_map(self) -> ClusterMap: ...

    async def keep_partitions(self) -> None:
        """Makes tomorrow's partitions of remembered commands and drops those that nobody may need any more."""
        ...


class Catalog(Protocol):
    """What is known of products. Ids are canonical UUID texts, as in ``Product``."""

    @property
    def generation(self) -> int:
        """Rises whenever something that ``peek`` answers changes: what was computed from titles is then old."""
        ...

    def peek(self, product_id: str) -> Product | None:
        """What this process has in memory; may be stale, never waits. None says nothing about the product."""
        ...

    async def get_many(self, product_ids: Collection[str]) -> Mapping[str, Product | None]:
        """None for a product that the catalog says does not exist; an id that is not in the answer could not be
        learned in time. A stale answer beats none. ``CatalogUnavailable`` only if nothing at all could be learned."""
        ...


class Downloads(Protocol):
    async def request_install(self, *, user_id: str, product_id: str) -> None:
        """The Download Service has taken the request; what becomes of it comes by its events. Asking again while it
        is under way changes nothing. ``InstallRefused`` or ``NeighbourUnavailable``."""
        ...


class Accounts(Protocol):
    async def is_active(self, user_id: str) -> bool:
        """Whether the user exists and may be granted something. ``NeighbourUnavailable``."""
        ...
