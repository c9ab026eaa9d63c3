"""What a door asks of the engine, and nothing more."""

from collections.abc import Callable, Sequence
from typing import Protocol

from actors.domain.commands import Command
from actors.domain.ids import CommandId, Micros, UserId
from actors.domain.replies import Reply
from actors.many_access import OnAnswers, Pair


class UserActors(Protocol):
    """The way to every user's actor; ``actors.router.Router`` for real."""

    @property
    def map_complete(self) -> bool:
        """Whether a complete map of shards was read at least once: the door is ready (``/readyz``)."""
        ...

    def try_call(
        self,
        user_id: UserId,
        command: Command,
        on_reply: Callable[[Reply | None], None],
        *,
        timeout_s: float,
        trace: str | None = None,
    ) -> bool:
        """One attempt, at once; False if that is not possible now, and then nothing happened.

        For commands without an id that may be sent again whatever became of them. ``on_reply`` is called later, once:
        with the actor's answer, or with None when only ``call`` can learn it. It must not raise.
        """
        ...

    async def call(
        self,
        user_id: UserId,
        command: Command,
        *,
        timeout_s: float,
        command_id: CommandId | None = None,
        trace: str | None = None,
    ) -> Reply:
        """The actor's answer within ``timeout_s``, retried on the way as often as is safe.

        Never raises for what happens to the engine: that comes back as ``Overloaded``, ``Unavailable`` or ``Failed``,
        and never as ``WrongShard``. With ``command_id`` a remembered command is applied once, whatever is retried.
        """
        ...


class ManyActors(UserActors, Protocol):
    """The same, and many at once."""

    def check_many(
        self, pairs: Sequence[Pair], on_answers: OnAnswers, *, timeout_s: float, trace: str | None = None
    ) -> None:
        """One attempt for all. ``on_answers`` is called once, at once or later, soon after ``timeout_s`` at latest:
        with, for each pair, since when the user has the product, ``NO_ACCESS``, or ``UNKNOWN_ACCESS`` when only
        ``try_call`` and ``call`` can learn it. It must not raise."""
        ...


class TokenCheck(Protocol):
    """A second look at tokens that are good by themselves (R-CFG-2)."""

    async def is_valid(self, token: str) -> bool:
        """False for one that was withdrawn. ``NeighbourUnavailable`` when that cannot be learnt now."""
        ...


class ServiceClock(Protocol):
    """Service time now, as near as a door knows it; for what is relative to today (R-PT-5)."""

    def __call__(self) -> Micros: ...
