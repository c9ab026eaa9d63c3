"""One question to each of many actors, answered together.

They are asked in chunks: a chunk leaves in one turn of the event loop, so it travels in as few frames as a frame may
hold calls, and the host has never so many of them that other users wait long behind them.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

from actors.domain.commands import Command
from actors.domain.ids import UserId
from actors.domain.replies import Reply, Unavailable
from serve_app.ports import UserActors

CHUNK = 1_000

Question = tuple[UserId, Command]


async def call_many(
    actors: UserActors, questions: Sequence[Question], *, timeout_s: float, trace: str | None = None
) -> list[Reply]:
    """One reply a question, in their order; ``Unavailable`` for each that has none when the time is up.

    For commands without an id that may be sent again whatever became of them.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    replies: list[Reply] = []
    for first in range(0, len(questions), CHUNK):
        chunk = _Chunk(actors, questions[first : first + CHUNK], deadline, trace)
        replies += await chunk.ask()
    return replies


class _Chunk:
    def __init__(self, actors: UserActors, questions: Sequence[Question], deadline: float, trace: str | None) -> None:
        self._actors = actors
        self._questions = questions
        self._deadline = deadline
        self._trace = trace
        self._loop = asyncio.get_running_loop()
        self._replies: list[Reply | None] = [None] * len(questions)
        self._missing = len(questions)
        self._whole: asyncio.Future[None] = self._loop.create_future()
        self._detours: set[asyncio.Task[None]] = set()

    async def ask(self) -> list[Reply]:
        left = self._deadline - self._loop.time()
        try:
            if left > 0:
                for position, (user_id, command) in enumerate(self._questions):
                    settle = partial(self._settle, position)
                    if not self._actors.try_call(user_id, command, settle, timeout_s=left, trace=self._trace):
                        self._detour(position)
                await asyncio.wait({self._whole}, timeout=left)
        finally:
            self._whole.cancel()
            for task in self._detours:
                task.cancel()
        return [Unavailable("no answer in time") if reply is None else reply for reply in self._replies]

    def _settle(self, position: int, reply: Reply | None) -> None:
        if self._whole.done():
            return
        if reply is None:
            self._detour(position)
            return
        self._replies[position] = reply
        self._missing -= 1
        if not self._missing:
            self._whole.set_result(None)

    def _detour(self, position: int) -> None:
        """The long way, for the few that a lost link or a moving shard held up."""
        task = self._loop.create_task(self._call(position))
        self._detours.add(task)
        task.add_done_callback(self._detours.discard)

    async def _call(self, position: int) -> None:
        user_id, command = self._questions[position]
        left = max(0.0, self._deadline - self._loop.time())
        self._settle(position, await self._actors.call(user_id, command, timeout_s=left, trace=self._trace))
