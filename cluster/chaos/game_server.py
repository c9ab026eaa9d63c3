"""A game server: whoever plays on it beats through it, many at once in one call (R-PT-7)."""

import asyncio
from random import Random
from typing import Any

from msgspec import Struct

from actors.domain.ids import SessionId, UserId, format_id
from cluster.chaos.batch_bodies import Counted, beats_of
from cluster.chaos.bodies import UNREADABLE
from cluster.chaos.caller import Unanswered
from cluster.chaos.user import User
from cluster.replay.patience import backoff_s
from cluster.replay.service import Answer

PATH = "/playtime/heartbeats"
GATHER_S = 0.5
AGAIN_SHARE = 0.2
AGAIN = {"SERVICE_UNAVAILABLE", "RATE_LIMITED"}


class _Beat(Struct, frozen=True, eq=False):
    user_id: UserId
    session_id: SessionId
    answer: "asyncio.Future[Counted | str]"


class GameServer:
    """``user`` carries the role. Everything that comes within ``GATHER_S`` goes in one call; each beat is tried again
    for itself. Some calls have a key, and of these some are made twice.

    A call with a key waits for the game server's own actor, too. So it is made in that way once: if that host is away,
    the others' players must be heard all the same, and beats need no key to count once.
    """

    def __init__(self, user: User) -> None:
        self._user = user
        self.history = user.history
        self._gathered: list[_Beat] = []
        self._sending: set[asyncio.Task[None]] = set()

    async def beat(self, who: str, user_id: UserId, session_id: SessionId, random: Random) -> Counted | str:
        """The code of an error that is an answer, too. ``Unanswered``."""
        calls = self._user.around.calls
        call = calls.begin(who, "beat", format_id(session_id))
        loop = asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                answer = await self._gather(user_id, session_id)
                if not isinstance(answer, str) or answer not in AGAIN:
                    calls.answered(call, answer if isinstance(answer, str) else "200", took_s=loop.time() - began)
                    return answer
                calls.attempted(call, "503" if answer == "SERVICE_UNAVAILABLE" else "429", took_s=loop.time() - began)
                await asyncio.sleep(backoff_s(call.attempt, random))
        finally:
            calls.end(call)

    async def close(self) -> None:
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _gather(self, user_id: UserId, session_id: SessionId) -> Counted | str:
        if not self._gathered:
            task = asyncio.create_task(self._send_gathered())
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        answer: asyncio.Future[Counted | str] = asyncio.get_running_loop().create_future()
        self._gathered.append(_Beat(user_id, session_id, answer))
        return await answer

    async def _send_gathered(self) -> None:
        await asyncio.sleep(GATHER_S)
        beats, self._gathered = self._gathered, []
        try:
            answers = await self._ask(beats)
        except (Unanswered, *UNREADABLE) as failed:
            for beat in beats:
                if not beat.answer.done():
                    beat.answer.set_exception(failed)
            return
        for beat, said in zip(beats, answers, strict=True):
            if not beat.answer.done():
                beat.answer.set_result(said)

    async def _ask(self, beats: list[_Beat]) -> list[Counted | str]:
        user = self._user
        data = [
            {
                "type": "playtimeHeartbeat",
                "id": format_id(beat.session_id),
                "attributes": {"user_id": format_id(beat.user_id)},
            }
            for beat in beats
        ]
        if user.happens(user.around.pace.keyed_share) and (keyed := await self._ask_with_key(data)) is not None:
            return keyed
        return _answers(await user.ask("beats", "POST", PATH, data), data)

    async def _ask_with_key(self, data: list[dict[str, Any]]) -> list[Counted | str] | None:
        """None when it was not answered at once."""
        user, key = self._user, self._user.new_uuid()
        try:
            first = _answers(await user.ask("beats", "POST", PATH, data, key=key, patience_s=0.0), data)
            if user.happens(AGAIN_SHARE):
                again = _answers(await user.ask("beats", "POST", PATH, data, key=key, patience_s=0.0), data)
                both = [pair for pair in zip(first, again, strict=True) if isinstance(pair[0], Counted)]
                if any(one != other and other not in AGAIN for one, other in both):
                    self.history.wrong("heartbeats under a key were answered in two ways")
        except Unanswered:
            return None
        return first


def _answers(answer: Answer, data: list[dict[str, Any]]) -> list[Counted | str]:
    """``ValueError`` for what no game server should get."""
    if answer.status != 200:
        raise ValueError(f"many heartbeats were answered {answer.status}: {answer.body[:300]!r}")
    answers = beats_of(answer)
    if len(answers) != len(data):
        raise ValueError(f"{len(data)} heartbeats had {len(answers)} answers")
    return answers
