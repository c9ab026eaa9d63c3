"""What travels over a link, before it has a shape on the wire."""

from msgspec import Struct

from actors.domain.commands import Command
from actors.domain.ids import CommandId, Term, UserId


class Call(Struct, frozen=True, array_like=True, gc=False):
    """A command on the wire. ``ms_left`` is the time its caller still waits; ``term`` what the caller's map says."""

    call_id: int
    ms_left: int
    term: Term
    user_id: UserId
    command: Command
    command_id: CommandId | None = None
    trace: str | None = None


class UnknownCall(Struct, frozen=True):
    """A call that this release does not understand, for ``reason``."""

    call_id: int
    reason: str
