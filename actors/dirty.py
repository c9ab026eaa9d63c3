"""What is committed in the journal but not yet in the tables.

What is not in a committed flush is never dropped from memory: a row is clean only when a flush that contains its last
event has committed, and rows of a failed flush stay dirty.
"""

from collections.abc import Callable, Sequence

from actors.copies.mirror import is_mirrored
from actors.dirty_library import DirtyLibraries
from actors.domain.events import (
    AnomalyRecorded,
    CommandApplied,
    Event,
    HeartbeatAccepted,
    OfflinePlayed,
    SessionEnded,
    SessionStarted,
)
from actors.domain.ids import Seq, SessionId, ShardId, Term, UserId
from actors.domain.model import Anomaly, AppliedCommand, EndedSession, LiveSession, User
from actors.domain.publishing import published
from actors.domain.sessions import live_session
from actors.formats import Formats
from actors.ports import FlushBatch, OutboxRow, ShardGift

Home = tuple[ShardId, Term]
"""Where a user lives: the shard, at the term its events are journaled under."""


class DirtyRows:
    """The dirty rows up to ``up_to``: keys whose image is taken from memory at the flush, and rows only to be added.

    A heartbeat is its own image: the last one of a session is all that its row gets. ``mirrored``: some are wanted for
    the mirror too.
    """

    def __init__(self, formats: Formats, *, mirrored: bool) -> None:
        self._mirrored = mirrored
        self._formats = formats
        self.up_to = Seq(0)
        self.journal_bytes = 0
        self.users: dict[UserId, None] = {}
        self._libraries = DirtyLibraries()
        self._sessions: dict[SessionId, UserId] = {}
        self._heartbeats: dict[SessionId, HeartbeatAccepted] = {}
        self._mirror: dict[SessionId, UserId] = {}
        self._commands: list[tuple[UserId, AppliedCommand]] = []
        self._anomalies: list[tuple[UserId, Anomaly]] = []
        self._outbox: list[OutboxRow] = []

    def mark(self, user_id: UserId, home: Home, seq: Seq, first: int, events: Sequence[Event]) -> int:
        """Takes in a user's events of one journal row; those for the world are numbered from ``first``. Returns the
        next number."""
        self.users[user_id] = None
        shard_id, term = home
        n = first
        for event in events:
            if isinstance(event, HeartbeatAccepted):
                self._heartbeats[event.session_id] = event
                if self._mirrored and is_mirrored(event):
                    self._mirror[event.session_id] = user_id
                continue
            match event:
                case SessionStarted(session=session):
                    self._sessions[session.session_id] = user_id
                    self._libraries.mark_item(user_id, session.product_id)
                case SessionEnded(session_id=session_id, product_id=product_id):
                    self._sessions[session_id] = user_id
                    self._libraries.mark_item(user_id, product_id)
                case OfflinePlayed(session=played, live_session_id=live_session_id):
                    self._sessions[played.session_id] = user_id
                    self._libraries.mark_item(user_id, played.product_id)
                    if live_session_id is not None:
                        self._sessions[live_session_id] = user_id
                case CommandApplied(applied=applied):
                    self._commands.append((user_id, applied))
                case AnomalyRecorded(anomaly=anomaly):
                    self._anomalies.append((user_id, anomaly))
                    if anomaly.session_id is not None:
                        self._sessions[anomaly.session_id] = user_id
                case _:
                    self._libraries.mark(user_id, event)
            for integration_event in published(user_id, event):
                form = self._formats.writes
                body = form.encode_event(integration_event, user_id)
                self._outbox.append(OutboxRow(shard_id, term, seq, n, user_id, body, form.version))
                n += 1
        return n

    def follow(self, earlier: "DirtyRows") -> None:
        """The rows of a flush that failed are dirty still, and come before these."""
        self.journal_bytes += earlier.journal_bytes
        self.up_to = max(self.up_to, earlier.up_to)
        self.users = {**earlier.users, **self.users}
        self._libraries.follow(earlier._libraries)
        self._sessions = {**earlier._sessions, **self._sessions}
        self._heartbeats = {**earlier._heartbeats, **self._heartbeats}
        self._mirror = {**earlier._mirror, **self._mirror}
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
        beating = (
            (user_id, live_session(user_of(user_id), session_id)) for session_id, user_id in self._mirror.items()
        )
        batch = FlushBatch(
            up_to=self.up_to,
            sessions_live=live,
            sessions_ended=ended,
            heartbeats=[
                (session_id, beat.at, beat.interval_s)
                for session_id, beat in self._heartbeats.items()
                if session_id not in self._sessions
            ],
            mirrored_beats=[(user_id, session) for user_id, session in beating if session is not None],
            commands=self._commands,
            anomalies=self._anomalies,
            outbox=self._outbox,
            gifts=gifts,
        )
        return self._libraries.with_images(batch, user_of)


def _known(session: EndedSession | None) -> EndedSession:
    if session is None:
        raise AssertionError("a dirty session was dropped from memory")
    return session
