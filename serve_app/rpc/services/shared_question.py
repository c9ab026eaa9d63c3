"""Single checks of one turn of the event loop, asked together (R-RPC-1).

A check that travels alone is a call, a place in a mailbox and a reply of its own; together they are one question to
each host, answered by the same fence. Who has little time goes alone, so that nobody's deadline is another's.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

from actors.domain.ids import Micros
from actors.many_access import Pair
from serve_app.ports import ManyActors

QUESTION_S = 0.5
LONG_ENOUGH_S = 2 * QUESTION_S
"""Whose caller gives it less is not asked here: half of it must be left for asking alone."""
MOST_PAIRS = 1_000


class SharedQuestion:
    def __init__(self, actors: ManyActors) -> None:
        self._actors = actors
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Pair, asyncio.Future[Micros]]] = []

    async def since(self, pair: Pair) -> Micros:
        """What ``ManyAccess`` says of the pair, soon after ``QUESTION_S`` at the latest."""
        answer: asyncio.Future[Micros] = self._loop.create_future()
        if not self._waiting:
            self._loop.call_soon(self._ask)
        self._waiting.append((pair, answer))
        return await answer

    def _ask(self) -> None:
        waiting, self._waiting = self._waiting, []
        for first in range(0, len(waiting), MOST_PAIRS):
            some = waiting[first : first + MOST_PAIRS]
            self._actors.check_many([pair for pair, _ in some], partial(_settle, some), timeout_s=QUESTION_S)


def _settle(waiting: Sequence[tuple[Pair, "asyncio.Future[Micros]"]], found: Sequence[Micros]) -> None:
    for (_, answer), since in zip(waiting, found, strict=True):
        if not answer.done():
            answer.set_result(since)
