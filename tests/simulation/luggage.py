"""What a player's devices recorded while nobody heard them, and bring when they are back: sometimes more than once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from actors.domain.commands import AddOfflineSessions, OfflinePlay
from actors.domain.ids import SECOND, ClientSessionId, CommandId, Micros, ProductId, SessionId
from actors.domain.offline import offline_session_id
from actors.domain.remembering import client_key
from actors.domain.replies import OfflineResults, Reply
from cluster.verdict.history import Brought, History, Told

AROUND_US = 3_000_000
Ask = Callable[[AddOfflineSessions, CommandId | None], Awaitable[Reply | None]]


class Luggage:
    """One user's, of products ``played``, which are never refunded. Times lie around those that the service has told,
    so that they overlap with all other play; they end no later than what it has told, so that none is in the future."""

    def __init__(
        self, history: History, played: Sequence[ProductId], ask: Ask, random: Random, stop: asyncio.Event
    ) -> None:
        self._history = history
        self._played = played
        self._ask = ask
        self._random = random
        self._stop = stop
        self._plays: list[OfflinePlay] = []
        self._sent: list[tuple[AddOfflineSessions, CommandId, OfflineResults]] = []

    async def bring(self, told: Told) -> None:
        """Some new sessions about this one's time, and maybe some that were brought before."""
        new = [self._play(told) for _ in range(self._random.randint(1, 3))]
        again = self._random.sample(self._plays, min(len(self._plays), self._random.randint(0, 2)))
        self._plays += new
        self._history.offline_wanted += len(new)
        command = AddOfflineSessions((*new, *again))
        key = client_key(self._history.user_id, self._random.randbytes(8), b"offline")
        results = await self._answered(command, self._random.choice((None, key)))
        if results is not None:
            self._sent.append((command, key, results))

    async def deliver_again(self) -> None:
        """Long after: the same sessions, under their key too, which gives the whole answer again."""
        if not self._sent:
            return
        command, key, results = self._random.choice(self._sent)
        again = await self._answered(command, None)
        if again is not None and _taken(again, results) != _taken(results, results):
            self._history.wrong("offline sessions were credited in two ways")
        keyed = await self._answered(command, key)
        if keyed is not None and await self._answered(command, key) not in (keyed, None):
            self._history.wrong("a key was answered in two ways")

    def _play(self, told: Told) -> OfflinePlay:
        end = Micros(told.last_accepted - self._random.choice((0, 0, self._random.randint(0, AROUND_US))))
        begin = Micros(end - self._random.randint(SECOND, 2 * AROUND_US))
        client_id = ClientSessionId(self._random.randbytes(16))
        product: ProductId = self._random.choice((told.product_id, self._random.choice(self._played)))
        return OfflinePlay(offline_session_id(self._history.user_id, client_id), client_id, product, begin, end)

    async def _answered(self, command: AddOfflineSessions, command_id: CommandId | None) -> OfflineResults | None:
        """None if nobody answered before the player had to stop."""
        while not self._stop.is_set():
            reply = await self._ask(command, command_id)
            if isinstance(reply, OfflineResults):
                self._note(command, reply)
                return reply
            await asyncio.sleep(self._random.uniform(0.05, 0.5))
        return None

    def _note(self, command: AddOfflineSessions, reply: OfflineResults) -> None:
        for play, result in zip(command.sessions, reply.results, strict=True):
            if isinstance(result, int):
                taken = Brought(
                    product_id=play.product_id, started_at=play.started_at, ended_at=play.ended_at, credited_s=result
                )
                self._history.offline_taken(SessionId(play.session_id), taken)
            elif result != "not_owned":
                self._history.wrong(f"an offline session was refused as {result}")


def _taken(now: OfflineResults, first: OfflineResults) -> list[object]:
    """The results of those that were taken at first: a refused one may be taken later."""
    return [one for one, former in zip(now.results, first.results, strict=True) if isinstance(former, int)]
