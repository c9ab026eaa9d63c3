"""The user's actor as two pure functions: ``decide(state, command, context)`` and ``evolve(state, event)``.

The third, ``decide_once``, is what the host calls: it answers a remembered command id with the stored answer instead
of deciding again (promise 2).
"""

from collections.abc import Sequence

from msgspec.structs import replace

from actors.domain import access, library_part, offline, remembering, sessions
from actors.domain.commands import (
    AddOfflineSessions,
    CheckAccess,
    CheckManyAccess,
    Command,
    EndSession,
    ExpireSessions,
    Heartbeat,
    ListLiveSessions,
    ListOwned,
    Settle,
    StartSession,
    UseKey,
)
from actors.domain.context import Context
from actors.domain.events import (
    AnomalyRecorded,
    CommandApplied,
    Event,
    HeartbeatAccepted,
    OfflinePlayed,
    SessionEnded,
    SessionStarted,
)
from actors.domain.ids import CommandId, Micros
from actors.domain.model import LiveSession, User
from actors.domain.replies import Answer, Done, Refused

Decision = tuple[Sequence[Event], Answer]


def decide(user: User, command: Command, context: Context) -> Decision:
    """What happens, and what the caller is told. Raises ``NotLoaded`` when a rule needs more of the user."""
    match command:
        case Heartbeat():
            return sessions.decide_heartbeat(user, command, context)
        case StartSession():
            return sessions.decide_start(user, command, context)
        case EndSession():
            return sessions.decide_end(user, command, context)
        case ExpireSessions():
            return sessions.decide_expire(user, command, context)
        case ListLiveSessions():
            return sessions.decide_list_live(user, command, context)
        case AddOfflineSessions():
            return offline.decide_offline(user, command, context)
        case Settle() | UseKey():
            return (), Done(changed=False)
        case CheckAccess():
            return access.decide_check_access(user, command, context)
        case CheckManyAccess():
            raise TypeError("is asked of a host, not of a user")
        case ListOwned():
            return access.decide_list_owned(user, command, context)
        case _:
            return library_part.decide(user, command, context)


def decide_once(user: User, command: Command, command_id: CommandId | None, context: Context) -> Decision:
    """``decide``, but what has an id that is remembered is decided once: its answer is part of its events.

    A door's own id counts for ``remembered`` commands, a client's key for every one. Refusals are not remembered: they
    changed nothing, and trying again may succeed. An acceptance that changed nothing is: a start that found its session
    live must not start another one when it is delivered again after the end.
    """
    if command_id is None or not (command.remembered or len(command_id) > remembering.ID_BYTES):
        return decide(user, command, context)
    if (former := remembering.recalled(user, command_id, context.real_now)) is not None:
        return (), former
    events, answer = decide(user, command, context)
    if isinstance(answer, Refused):
        return events, answer
    return [*events, CommandApplied(remembering.applied_command(command_id, context.real_now, answer))], answer


def evolve(user: User, event: Event) -> User:
    """The state after an event. Total for every event that ``decide`` made of that state; never does I/O."""
    match event:
        case HeartbeatAccepted():
            return sessions.evolve_heartbeat(user, event)
        case SessionStarted():
            return _at(sessions.evolve_started(user, event), event.session.started_at)
        case SessionEnded():
            return _at(sessions.evolve_ended(user, event), Micros(max(event.ended_at, event.decided_at)))
        case AnomalyRecorded():
            return _at(sessions.evolve_anomaly(user, event), event.anomaly.at)
        case OfflinePlayed():
            return _at(offline.evolve_offline(user, event), Micros(max(event.session.ended_at, event.decided_at)))
        case CommandApplied():
            return remembering.evolve_applied(user, event.applied)
        case _:
            return _at(*library_part.evolve(user, event))


def with_live_session(user: User, session: LiveSession) -> User:
    """The state with a live session that was loaded, not started."""
    at = max(user.last_event_at, session.last_heartbeat_at)
    return replace(user, live=(*user.live, session), last_event_at=at)


def _at(user: User, at: Micros) -> User:
    return user if at <= user.last_event_at else replace(user, last_event_at=at)
