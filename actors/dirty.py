"""What is committed in the journal but not yet in the tables.

What is not in a committed flush is never dropped from memory: a row is clean only when a flush that contains its last
event has committed, and rows of a failed flush stay dirty.
"""

from collections.abc import Callable, Sequence

from actors.domain.events import (
    AnomalyRecorded,
    CommandApplied,
    Event,
    HeartbeatAccepted,
    InstallationChanged,
    ItemAdded,
    OfflinePlayed,
    PurchaseApplied,
    SessionEnded,
    SessionStarted,
)
from actors.domain.ids import ProductId, Seq, SessionId, ShardId, Term, UserId
from actors.domain.model import Anomaly, AppliedCommand, EndedSession, LibraryItem, LiveSession, User
from actors.domain.publishing import published
from actors.domain.sessions import live_session
from actors.formats import Formats
from actors.ports import FlushBatch, OutboxRow, PurchaseRow, ShardGift

Home = tuple[ShardId, Term]
"""Where a user lives: the shard, at the term its events are journaled under."""


class DirtyRows:
    """The dirty rows up to ``up_to``: keys whose image is taken from memory at the flush, and rows only to be added.

    A heartbeat is its own image: the last one of a session is all that its row gets.
    """

    def __init__(self, formats: Formats) -> None:
        self._formats = formats
        self.up_to = Seq(0)
        self.journal_bytes = 0
        self.users: dict[UserId, None] = {}
        self._items: dict[tuple[UserId, ProductId], None] = {}
        self._sessions: dict[SessionId, UserId] = {}
        self._heartbeats: dict[SessionId, HeartbeatAccepted] = {}
        self._purchases: list[PurchaseRow] = []
        self._commands: list[tuple[UserId, AppliedCommand]] = []
        self._anomalies: list[tuple[UserId, Anomaly]] = []
        self._outbox: list[OutboxRow] = []

    def mark(self, user_id: UserId, home: Home, seq: Seq, first: int, events: Sequence[Event]) -> int:  # noqa: PLR0912  # one case an event
        """Takes in a user's events of one journal row, numbered from ``first``; returns the next number."""
        self.users[user_id] = None
        shard_id, term = home
        for n, event in enumerate(events, first):
            if type(event) is HeartbeatAccepted:
                self._heartbeats[event.session_id] = event
                continue
            match event:
                case SessionStarted(session=session):
                    self._sessions[session.session_id] = user_id
                    self._items[user_id, session.product_id] = None
                case SessionEnded(session_id=session_id, product_id=product_id):
                    self._sessions[session_id] = user_id
                    self._items[user_id, product_id] = None
                case OfflinePlayed(session=played, live_session_id=live_session_id):
                    self._sessions[played.session_id] = user_id
                    self._items[user_id, played.product_id] = None
                    if live_session_id is not None:
                        self._sessions[live_session_id] = user_id
                case ItemAdded(item=item):
                    self._items[user_id, item.product_id] = None
                case InstallationChanged(product_id=product_id):
                    self._items[user_id, product_id] = None
                case PurchaseApplied(order_id=order_id, product_id=product_id, at=at):
                    self._purchases.append(PurchaseRow(user_id, order_id, product_id, at))
                case CommandApplied(applied=applied):
                    self._commands.append((user_id, applied))
                case AnomalyRecorded(anomaly=anomaly):
                    self._anomalies.append((user_id, anomaly))
                    if anomaly.session_id is not None:
                        self._sessions[anomaly.session_id] = user_id
            if (integration_event := published(user_id, event)) is not None:
                form = self._formats.writes
                body = form.encode_event(integration_event, user_id)
                self._outbox.append(OutboxRow(shard_id, term, seq, n, user_id, body, form.version))
        return first + len(events)

    def follow(self, earlier: "DirtyRows") -> None:
        """The rows of a flush that failed are dirty still, and come before these."""
        self.journal_bytes += earlier.journal_bytes
        self.up_to = max(self.up_to, earlier.up_to)
        self.users = {**earlier.users, **self.users}
        self._items = {**earlier._items, **self._items}
        self._sessions = {**earlier._sessions, **self._sessions}
        self._heartbeats = {**earlier._heartbeats, **self._heartbeats}
        self._purchases = earlier._purchases + self._purchases
        self._commands = earlier._commands + self._commands
        self._anomalies = earlier._anomalies + self._anomalies
        self._outbox = earlier._outbox + self._outbox

    def images(self, user_of: Callable[[UserId], User], gifts: Sequence[ShardGift]) -> FlushBatch:
        """The batch to flush, with every image as it is in memory now: a commit boundary."""
        live: list[tuple[UserId, LiveSession]] = []
        ended: list[tuple[UserId, EndedSession]] = []
        for session_id, user_id in self._sessions.items():
            user = user_of(user_id)
            if (session := live_session(user, session_id)) is not None:
                live.append((user_id, session))
            else:
                ended.append((user_id, _known(user.ended.get(session_id))))
        return FlushBatch(
            up_to=self.up_to,
            items=[(user_id, self._item(user_of(user_id), product_id)) for user_id, product_id in self._items],
            sessions_live=live,
            sessions_ended=ended,
            heartbeats=[
                (session_id, beat.at, beat.interval_s)
                for session_id, beat in self._heartbeats.items()
                if session_id not in self._sessions
            ],
            purchases=self._purchases,
            commands=self._commands,
            anomalies=self._anomalies,
            outbox=self._outbox,
            gifts=gifts,
        )

    @staticmethod
    def _item(user: User, product_id: ProductId) -> LibraryItem:
        if user.library is None:
            raise AssertionError("a dirty library was dropped from memory")
        return user.library.items[product_id]


def _known(session: EndedSession | None) -> EndedSession:
    if session is None:
        raise AssertionError("a dirty session was dropped from memory")
    return session
