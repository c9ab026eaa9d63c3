"""The engine as its callers see it: the real rules over users in memory, with replies of the engine's own on demand.

What was applied stays when a caller's process dies.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from actors.domain.commands import Command
from actors.domain.context import Context, Policy
from actors.domain.ids import CommandId, Micros, ProductId, UserId
from actors.domain.model import Library, User
from actors.domain.replies import Reply
from actors.domain.user import decide, evolve
from tests.memory.faults import Faults

NOW = Micros(1_710_000_000_000_000)
Trouble = Callable[[UserId, Command], Reply | None]


@dataclass
class MemoryEngine:
    """The world: users, and how often each command reached them."""

    users: dict[UserId, User] = field(default_factory=dict)
    applied: list[tuple[UserId, Command]] = field(default_factory=list)
    ids: "count[int]" = field(default_factory=lambda: count(1))

    def apply(self, user_id: UserId, command: Command) -> Reply:
        user = self.users.get(user_id, User(library=Library()))
        context = Context(NOW, NOW, NOW, 60, Policy(), lambda: next(self.ids).to_bytes(16, "big"))
        events, answer = decide(user, command, context)
        for event in events:
            user = evolve(user, event)
        self.users[user_id] = user
        self.applied.append((user_id, command))
        return answer

    def products(self, user_id: UserId) -> set[ProductId]:
        user = self.users.get(user_id)
        return set(user.library.items) if user is not None and user.library is not None else set()


class MemoryCalls:
    """One process' router to it. ``trouble`` may answer in the engine's place; ``gate`` holds calls up while clear."""

    def __init__(self, engine: MemoryEngine, faults: Faults, trouble: Trouble = lambda _user, _command: None) -> None:
        self._engine = engine
        self._faults = faults
        self.trouble = trouble
        self.gate = asyncio.Event()
        self.gate.set()
        self.outstanding: Counter[UserId] = Counter()
        self.most_outstanding = 0
        self.most_outstanding_of_a_user = 0
        self.traces: list[str | None] = []

    async def call(
        self,
        user_id: UserId,
        command: Command,
        *,
        timeout_s: float,
        command_id: CommandId | None = None,
        trace: str | None = None,
    ) -> Reply:
        self.outstanding[user_id] += 1
        self.most_outstanding = max(self.most_outstanding, self.outstanding.total())
        self.most_outstanding_of_a_user = max(self.most_outstanding_of_a_user, self.outstanding[user_id])
        self.traces.append(trace)
        try:
            await self._faults.step("calls.sent")
            await self.gate.wait()
            reply = self.trouble(user_id, command) or self._engine.apply(user_id, command)
            await self._faults.step("calls.answered")
            return reply
        finally:
            self.outstanding[user_id] -= 1
