"""What can happen to an operation on its way to the server and back."""

from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Literal

from msgspec import Struct

from actors.domain.ids import HostId

OperationKind = Literal[
    "take_over",
    "replay",
    "append",
    "check_fence",
    "recover_journal",
    "flush",
    "recover_flush",
    "read",
    "read_shard",
    "write",
]


class Operation(Struct, frozen=True):
    """``host_id`` is None for what no host's session does."""

    kind: OperationKind
    host_id: HostId | None = None


class Fate(Enum):
    """PROCEED, or one of these. What needs no session gives ``StoreUnavailable`` for each."""

    PROCEED = auto()
    LOST_BEFORE = auto()
    """The connection breaks on the way there: nothing happens."""
    LOST_AFTER = auto()
    """The connection breaks on the way back: it happened."""
    REFUSED = auto()
    """The server says no (disk full, read-only)."""


class Course(Struct, frozen=True):
    """How an operation will go: after so many seconds, if the server and the session live, it meets this fate."""

    after_s: float
    fate: Fate


AT_ONCE = Course(0.0, Fate.PROCEED)
"""Done before the client goes on: nobody else does anything meanwhile."""

Hook = Callable[[Operation], Awaitable[Fate] | Course]
"""Runs in the server. What it knows at once costs a timer; what it has to wait for costs a task."""


async def proceed(_operation: Operation) -> Fate:
    return Fate.PROCEED


class StoreFaults:
    """Fates by plan, then by hook. While a hook waits, the operation is under way, and a client whose time is up leaves
    it behind."""

    def __init__(self, hook: Hook = proceed) -> None:
        self.hook = hook
        self._planned: dict[OperationKind, deque[Fate]] = {}

    def plan(self, kind: OperationKind, *fates: Fate) -> None:
        """The fates of the next operations of this kind, in order."""
        self._planned.setdefault(kind, deque()).extend(fates)

    def of(self, operation: Operation) -> Awaitable[Fate] | Course:
        """Planned fates first; each is used once."""
        planned = self._planned.get(operation.kind)
        return Course(0.0, planned.popleft()) if planned else self.hook(operation)
