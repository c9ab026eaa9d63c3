"""One user of a run, whatever they do: how they call, and what they were told. Nothing but answers is believed."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, NoReturn
from uuid import UUID

from actors.domain.ids import UserId, format_id
from cluster.chaos.bodies import UNREADABLE
from cluster.chaos.caller import PATIENCE_S, Caller, Heard, Request, Unanswered
from cluster.chaos.calls import Calls
from cluster.chaos.pace import Pace
from cluster.chaos.platform import Platform
from cluster.chaos.shop import Shop
from cluster.replay.service import Answer
from cluster.verdict.history import History


class Misbehaved(Exception):
    """The service gave an answer that no client of this kind should get; it is written down already."""


@dataclass(frozen=True, kw_only=True)
class Around:
    """What the users of a run share. ``stop`` is set when they are to leave."""

    caller: Caller
    shop: Shop
    platform: Platform
    calls: Calls
    pace: Pace
    stop: asyncio.Event


@contextmanager
def noted(history: History) -> Iterator[None]:
    """What ends a life too early stands in its history."""
    try:
        yield
    except Unanswered as nobody:
        history.wrong(str(nobody))
    except Misbehaved:
        return  # it stands there already
    except UNREADABLE as unreadable:
        history.wrong(f"an answer is unreadable: {unreadable}")


class User:
    """``text``: the id. Calls raise ``Unanswered``."""

    def __init__(self, name: str, user_id: UserId, *, token: str, around: Around, random: Random) -> None:
        self.name = name
        self.text = format_id(user_id)
        self.history = History(user_id=user_id, name=f"{name} ({self.text})", now=around.calls.now)
        self.around = around
        self.random = random
        self._headers = {"Authorization": f"Bearer {token}"}

    def happens(self, share: float) -> bool:
        return self.random.random() < share

    def new_uuid(self) -> str:
        return str(UUID(bytes=self.random.randbytes(16), version=4))

    async def ask(
        self,
        kind: str,
        method: str,
        path: str,
        data: Any = None,
        *,
        key: str | None = None,
        target: str = "",
        patience_s: float = PATIENCE_S,
    ) -> Heard:
        """``data`` is what the body has under that name; ``kind`` and ``target`` are for the history of the run."""
        headers, body = self._headers, None
        if data is not None:
            headers, body = {**headers, "Content-Type": "application/json"}, json.dumps({"data": data}).encode()
        if key is not None:
            headers = {**headers, "Idempotency-Key": key}
        request = Request(kind=kind, method=method, path=path, headers=headers, body=body, target=target)
        return await self.around.caller.ask(self.name, request, patience_s=patience_s)

    async def post(
        self, kind: str, path: str, data: Any = None, *, target: str = "", again_share: float | None = None
    ) -> Heard:
        """With a key; now and then once more, which must be answered the same. What is rare is repeated more often."""
        key = self.new_uuid()
        answer = await self.ask(kind, "POST", path, data, key=key, target=target)
        share = self.around.pace.repeated_share if again_share is None else again_share
        if answer.status < 300 and self.happens(share):
            again = await self.ask(kind, "POST", path, data, key=key, target=target)
            if (again.status, again.body) != (answer.status, answer.body):
                self.history.wrong(f"a key was answered in two ways: {kind}, {answer.status} and {again.status}")
        return answer

    async def get(self, kind: str, path: str) -> Answer:
        """Only 200 is an answer."""
        answer = await self.ask(kind, "GET", path)
        if answer.status != 200:
            self.refuse(kind, answer)
        return answer

    def refuse(self, what: str, answer: Answer) -> NoReturn:
        self.history.wrong(f"{what} was answered {answer.status}: {answer.body[:300].decode(errors='replace')}")
        raise Misbehaved(what)

    async def rest(self, seconds: float) -> None:
        """Or until the run ends."""
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self.around.stop.wait()
            except TimeoutError:
                return
