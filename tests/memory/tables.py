"""The tables of the migrations, as dicts, with the constraints that a flush can meet."""

from collections.abc import Container, Sequence

from msgspec.structs import replace

from actors.domain.ids import CategoryId, CommandId, HostId, ItemId, Micros, ProductId, Seq, SessionId, ShardId, UserId
from actors.domain.model import (
    Acquisition,
    Anomaly,
    AppliedCommand,
    Category,
    EndedSession,
    LibraryItem,
    LiveSession,
    RemovedItem,
)
from actors.fleet.ports import ProcessInfo
from actors.ports import ClockOrigin, CommitRefused, FlushBatch, HostAddress, OutboxRow, PurchaseRow, ShardOwner

OutboxKey = tuple[int, int, int, int]
INT4 = 2**31
MAX_NAME = 100
INT8 = 2**63


class Tables:
    """What is committed. ``check`` refuses what Postgres would refuse and changes nothing; ``apply`` cannot fail."""

    def __init__(self) -> None:
        self.hosts: dict[HostId, HostAddress] = {}
        self.shards: dict[ShardId, ShardOwner] = {}
        self.progress: dict[HostId, Seq] = {}
        self.journal: dict[HostId, dict[Seq, bytes]] = {}
        self.items: dict[ItemId, tuple[UserId, LibraryItem]] = {}
        self.sessions: dict[SessionId, tuple[UserId, LiveSession | EndedSession]] = {}
        self.removed: dict[tuple[UserId, ProductId], RemovedItem] = {}
        self.categories: dict[CategoryId, tuple[UserId, Category]] = {}
        self.purchases: dict[tuple[UserId, bytes, ProductId], PurchaseRow] = {}
        self.commands: dict[tuple[UserId, CommandId, Micros], AppliedCommand] = {}
        self.anomalies: dict[bytes, tuple[UserId, Anomaly]] = {}
        self.outbox: dict[OutboxKey, OutboxRow] = {}
        self.clock_origin: ClockOrigin | None = None
        self.wanted_hosts: int | None = None
        self.version = 1
        self.processes: dict[bytes, tuple[ProcessInfo, bool, Micros]] = {}

    def check(self, batch: FlushBatch) -> None:
        """``CommitRefused`` for a batch that breaks a constraint."""
        self._check_items(batch)
        self._check_sessions(batch)
        self._check_purchases(batch)
        self._check_categories(batch)
        self._check_new(self.commands, [(u, one.command_id, one.at) for u, one in batch.commands], "applied_commands")
        self._check_new(self.anomalies, [one.anomaly_id for _, one in batch.anomalies], "playtime_anomalies")
        self._check_new(self.outbox, [outbox_key(row) for row in batch.outbox], "outbox")

    def apply(self, batch: FlushBatch) -> None:
        """The rows of a batch that passed ``check``."""
        for user_id, gone in batch.removed:
            if self.items.get(gone.item.item_id, (None,))[0] == user_id:
                del self.items[gone.item.item_id]
        for key in batch.returned:
            self.removed.pop(key, None)
        self.categories = self._categories_left(batch)
        self.removed.update({(user_id, gone.item.product_id): gone for user_id, gone in batch.removed})
        self.categories.update({one.category_id: (user_id, one) for user_id, one in batch.categories})
        self.items.update({item.item_id: (user_id, item) for user_id, item in batch.items})
        self.sessions.update({one.session_id: (user_id, one) for user_id, one in batch.sessions_live})
        self.sessions.update({one.session_id: (user_id, one) for user_id, one in batch.sessions_ended})
        for session_id, at, interval_s in batch.heartbeats:
            user_id, session = self.sessions[session_id]
            assert isinstance(session, LiveSession)
            self.sessions[session_id] = (user_id, _beaten(session, at, interval_s))
        self.purchases.update({_purchase_key(row): row for row in batch.purchases})
        self.commands.update({(u, one.command_id, one.at): one for u, one in batch.commands})
        self.anomalies.update({one.anomaly_id: (u, one) for u, one in batch.anomalies})
        self.outbox.update({outbox_key(row): row for row in batch.outbox})

    def _check_items(self, batch: FlushBatch) -> None:
        _once([item.item_id for _, item in batch.items], "user_library_items")
        leaving = {(user_id, gone.item.item_id) for user_id, gone in batch.removed}
        owners = {
            (user_id, item.product_id): item.item_id
            for user_id, item in self.items.values()
            if (user_id, item.item_id) not in leaving
        }
        for user_id, item in batch.items:
            if owners.setdefault((user_id, item.product_id), item.item_id) != item.item_id:
                raise CommitRefused("user_library_items: two items of a user and product")
            known = self.items.get(item.item_id)
            if known is not None and (known[0], known[1].product_id) != (user_id, item.product_id):
                raise CommitRefused("user_library_items: an item changed its user or product")
            if not -INT8 <= item.total_playtime_s < INT8:
                raise CommitRefused("user_library_items: bigint out of range")
            if item.user_rating not in (None, 1, 2, 3, 4, 5):
                raise CommitRefused("user_library_items: no such rating")

    def _check_purchases(self, batch: FlushBatch) -> None:
        _once([_purchase_key(row) for row in batch.purchases], "applied_purchases")
        for row in batch.purchases:
            if row.acquisition.acquisition_type is None and row.acquisition.refunded_at is None:
                raise CommitRefused("applied_purchases: neither bought nor refunded")
            stored = self.purchases.get(_purchase_key(row))
            if stored is not None and not _may_follow(stored.acquisition, row.acquisition):
                raise CommitRefused("applied_purchases: a change that cannot happen")

    def _categories_left(self, batch: FlushBatch) -> dict[CategoryId, tuple[UserId, Category]]:
        gone = set(batch.categories_deleted)
        return {key: (owner, one) for key, (owner, one) in self.categories.items() if (owner, key) not in gone}

    def _check_categories(self, batch: FlushBatch) -> None:
        _once([one.category_id for _, one in batch.categories], "user_game_categories")
        after = self._categories_left(batch)
        for user_id, one in batch.categories:
            if after.get(one.category_id, (user_id,))[0] != user_id:
                raise CommitRefused("user_game_categories: another user's")
            _check_text(one.name)
            if len(one.name) > MAX_NAME:
                raise CommitRefused("user_game_categories: a name that is too long")
            after[one.category_id] = (user_id, one)
        _once([(user_id, one.name) for user_id, one in after.values()], "user_game_categories")

    def _check_sessions(self, batch: FlushBatch) -> None:
        _once([one.session_id for _, one in batch.sessions_live], "playtime_sessions")
        _once([one.session_id for _, one in batch.sessions_ended], "playtime_sessions")
        _once([session_id for session_id, _, _ in batch.heartbeats], "playtime_sessions")
        written: dict[SessionId, UserId] = {}
        rows: list[tuple[UserId, LiveSession | EndedSession]] = [*batch.sessions_live, *batch.sessions_ended]
        for user_id, session in rows:
            known = self.sessions.get(session.session_id)
            if known is not None and (known[0] != user_id or isinstance(known[1], EndedSession)):
                raise CommitRefused("playtime_sessions: an ended session or another user's")
            _check_text(session.device_id)
            _check_int4(session.interval_s)
            written[session.session_id] = user_id
        for _, ended in batch.sessions_ended:
            _check_int4(ended.duration_s)
            written.pop(ended.session_id, None)
        for session_id, _, interval_s in batch.heartbeats:
            known = self.sessions.get(session_id)
            if session_id not in written and (known is None or isinstance(known[1], EndedSession)):
                raise CommitRefused("playtime_sessions: a beat of a session that is not live")
            _check_int4(interval_s)

    @staticmethod
    def _check_new(table: Container[object], keys: Sequence[object], name: str) -> None:
        _once(keys, name)
        for key in keys:
            if key in table:
                raise CommitRefused(f"{name}: a key that exists")


def outbox_key(row: OutboxRow) -> OutboxKey:
    """The order in which rows are published."""
    return (row.shard_id, row.term, row.seq, row.n)


def _purchase_key(row: PurchaseRow) -> tuple[UserId, bytes, ProductId]:
    return (row.user_id, row.order_id, row.product_id)


def _may_follow(stored: Acquisition, new: Acquisition) -> bool:
    refunded = stored.refunded_at is None and new.refunded_at is not None
    bought = stored.acquisition_type is None and new.acquisition_type is not None
    return refunded or bought


def _beaten(session: LiveSession, at: Micros, interval_s: int) -> LiveSession:
    return replace(session, last_heartbeat_at=at, interval_s=interval_s, too_fast=False)


def _once(keys: Sequence[object], table: str) -> None:
    if len(set(keys)) != len(keys):
        raise CommitRefused(f"{table}: a key twice in one batch")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CommitRefused("a lone surrogate in text") from None
    if "\0" in text:
        raise CommitRefused("a NUL in text")


def _check_int4(number: int) -> None:
    if not -INT4 <= number < INT4:
        raise CommitRefused("integer out of range")
