"""Where commands wait: ready ones in order of arrival, and per user those behind a command that waits for a load.

Per user a later command never overtakes an earlier one. Everything is bounded (promise 6); a command whose time is
over is answered without being decided.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from msgspec import Struct

from actors.domain.commands import Command
from actors.domain.ids import CommandId, ShardId, Term, UserId
from actors.domain.replies import Overloaded, Reply

Respond = Callable[[Reply], None]


class MailboxLimits(Struct, frozen=True, kw_only=True):
    """Commands that may wait: of one user, and of the host; above ``pause_at`` links stop reading."""

    per_entity: int = 64
    per_host: int = 50_000

    @property
    def pause_at(self) -> int:
        return self.per_host // 2

    @property
    def resume_at(self) -> int:
        return self.per_host // 4


NO_TERM = Term(0)
"""The sender knows no map, or needs none."""


class Pending:
    """A command on its way to an answer. ``deadline`` is in the loop's time, ``term`` what the router's map said."""

    __slots__ = ("attached", "command", "command_id", "deadline", "respond", "shard_id", "term", "trace", "user_id")

    def __init__(
        self,
        *,
        user_id: UserId,
        shard_id: ShardId,
        command: Command,
        respond: Respond,
        deadline: float,
        command_id: CommandId | None = None,
        term: Term = NO_TERM,
        trace: str | None = None,
    ) -> None:
        self.user_id = user_id
        self.shard_id = shard_id
        self.command = command
        self.respond = respond
        self.deadline = deadline
        self.command_id = command_id
        self.term = term
        self.trace = trace
        self.attached: list[Respond] | None = None

    def attach(self, again: "Pending") -> None:
        """The same command id asked again: both are answered by this attempt, until the later deadline."""
        if self.attached is None:
            self.attached = []
        self.attached.append(again.respond)
        self.deadline = max(self.deadline, again.deadline)

    def answer(self, reply: Reply) -> None:
        self.respond(reply)
        if self.attached is not None:
            for respond in self.attached:
                respond(reply)


class Mailbox:
    """The queues of one host. Used from one event loop only."""

    def __init__(self, limits: MailboxLimits) -> None:
        self._limits = limits
        self._ready: deque[Pending] = deque()
        self._blocked: dict[UserId, deque[Pending]] = {}
        self._waiting: dict[UserId, int] = {}
        self._in_flight: dict[CommandId, Pending] = {}
        self._size = 0
        self._arrival = asyncio.Event()
        self._to_relieve: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return self._size

    @property
    def congested(self) -> bool:
        """Links should stop reading until it is over."""
        return self._size >= self._limits.pause_at

    def when_relieved(self, resume: Callable[[], None]) -> None:
        """Calls once when the congestion is over."""
        self._to_relieve.append(resume)

    def offer(self, pending: Pending) -> None:
        """Takes a command in, or answers it ``Overloaded``."""
        command_id = pending.command_id
        if command_id is not None and (first := self._in_flight.get(command_id)) is not None:
            first.attach(pending)
            return
        waiting = self._waiting.get(pending.user_id, 0)
        if waiting >= self._limits.per_entity:
            pending.answer(Overloaded("entity mailbox"))
            return
        if self._size >= self._limits.per_host:
            pending.answer(Overloaded("host mailbox"))
            return
        self._waiting[pending.user_id] = waiting + 1
        self._size += 1
        if command_id is not None:
            self._in_flight[command_id] = pending
        if self._blocked and (queue := self._blocked.get(pending.user_id)) is not None:
            queue.append(pending)
        else:
            self._ready.append(pending)
            self._arrival.set()

    def cut(self, limit: int) -> list[Pending]:
        """The next batch, at most ``limit`` commands. They still count until they are answered."""
        ready = self._ready
        batch = [ready.popleft() for _ in range(min(limit, len(ready)))]
        if ready:
            self._arrival.set()
        return batch

    def is_blocked(self, user_id: UserId) -> bool:
        return user_id in self._blocked

    def block(self, pending: Pending) -> None:
        """The command waits for a load, and every later one of its user behind it."""
        self._blocked.setdefault(pending.user_id, deque()).append(pending)

    def unblock(self, user_id: UserId) -> None:
        """What waited for this user is ready again, before anything that arrives later."""
        queue = self._blocked.pop(user_id, None)
        if queue:
            self.put_back(queue)

    def fail_blocked(self, user_id: UserId, reply: Reply) -> None:
        """What waited for this user cannot go on: answered, each."""
        for pending in self._blocked.pop(user_id, ()):
            self.answer(pending, reply)

    def put_back(self, commands: Iterable[Pending]) -> None:
        """Commands that were cut go back to the front, in their order."""
        self._ready.extendleft(reversed(list(commands)))
        if self._ready:
            self._arrival.set()

    def answer(self, pending: Pending, reply: Reply) -> None:
        """Answers a command and forgets it."""
        user_id = pending.user_id
        waiting = self._waiting[user_id] - 1
        if waiting:
            self._waiting[user_id] = waiting
        else:
            del self._waiting[user_id]
        self._size -= 1
        if pending.command_id is not None:
            self._in_flight.pop(pending.command_id, None)
        pending.answer(reply)
        if self._to_relieve and self._size <= self._limits.resume_at:
            relieved, self._to_relieve = self._to_relieve, []
            for resume in relieved:
                resume()

    async def wait(self) -> None:
        """Until something has become ready, or ``wake`` was called, since the last time; or was left by a cut."""
        await self._arrival.wait()
        self._arrival.clear()

    def wake(self) -> None:
        """Lets ``wait`` return although nothing may be ready."""
        self._arrival.set()
