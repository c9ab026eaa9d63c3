"""Players who start, beat and end sessions without a pause, and try each call once more when it fails.

They reach the service as through a load balancer: by any door that answers. What they are told goes into the histories
that ``cluster.verdict`` judges; besides, it is noted when each of them was answered, for how long a loss lasts.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import aiohttp

from actors.domain.ids import ProductId, SessionId, UserId, parse_id, parse_time
from cluster.verdict.history import End, History, Told

SESSIONS = "/api/v1/library/playtime/sessions"
BEATS_A_SESSION = 12
BEAT_EVERY_S = 1.0
RETRY_AFTER_S = 0.5
ATTEMPT_TIMEOUT_S = 8.0


class Failed(Exception):
    """Both attempts of a call."""


class Player:
    """One user with one product. ``answered_at`` is when the latest call that was answered had been sent."""

    def __init__(self, load: "SteadyLoad", number: int, user_id: UUID, product_id: UUID) -> None:
        self._load = load
        self._number = number
        self._headers = {"Authorization": f"Bearer {load.token(user_id)}"}
        self._product = product_id
        self.history = History(user_id=UserId(user_id.bytes), name=f"player-{number}", now=load.now)
        self.history.products.append(ProductId(product_id.bytes))
        self.answered_at = 0.0
        self._sent_at = 0.0

    async def play(self) -> None:
        while not self._load.stopping.is_set():
            told = await self._until_answered(self._start)
            for _ in range(BEATS_A_SESSION):
                if told.refused_as_ended or await self._load.stopped_within(BEAT_EVERY_S):
                    break
                await self._until_answered(lambda told=told: self._beat(told))  # type: ignore[misc]
            await self._until_answered(lambda told=told: self._end(told))  # type: ignore[misc]

    async def _start(self) -> Told:
        attributes = {"product_id": str(self._product), "device_id": "console"}
        document = {"data": {"type": "playtimeSessionStart", "attributes": attributes}}
        self.history.starts += 1
        status, _, body = await self._call("start", document)
        if status not in (200, 201):
            raise AssertionError(f"a start was answered {status} {body}")
        session = body["data"]["attributes"]
        return self.history.started(
            session_id=SessionId(parse_id(body["data"]["id"])),
            product_id=self.history.products[0],
            device_id="console",
            started_at=parse_time(session["start_time"]),
        )

    async def _beat(self, told: Told) -> None:
        status, headers, body = await self._call(f"{UUID(bytes=told.session_id)}/heartbeat")
        if status == 204:
            self.history.beat_counted(told, parse_time(headers["Library-Accepted-At"]))
        elif status == 409:
            self.history.beat_refused_as_ended(told)
        else:
            raise AssertionError(f"a beat was answered {status} {body}")

    async def _end(self, told: Told) -> None:
        told.may_have_ended = False
        status, _, body = await self._call(f"{UUID(bytes=told.session_id)}/end")
        if status != 200:
            raise AssertionError(f"an end was answered {status} {body}")
        session = body["data"]["attributes"]
        end = End(
            ended_at=parse_time(session["end_time"]),
            duration_s=session["duration_seconds"],
            reason=session.get("end_reason", "client"),
        )
        self.history.end_answered(told, end)

    async def _until_answered(self, act: Callable[[], Any]) -> Any:
        began = self._load.now()
        while True:
            try:
                answer = await act()
            except Failed as failed:
                self._load.failures.append((self._load.now(), f"{self.history.name}: {failed}"))
                await asyncio.sleep(RETRY_AFTER_S)
            else:
                self.answered_at = self._sent_at
                self._load.waits.append((began, self._load.now() - began))
                return answer

    async def _call(self, path: str, body: Any = None) -> tuple[int, Any, Any]:
        """The first attempt by this player's door, the second by the next one. ``Failed``."""
        problems = []
        for attempt in range(2):
            door = self._load.door(self._number + attempt)
            self._sent_at = self._load.now()
            try:
                timeout = aiohttp.ClientTimeout(total=ATTEMPT_TIMEOUT_S)
                async with self._load.http.post(
                    f"{door}{SESSIONS}/{path}", json=body, headers=self._headers, timeout=timeout
                ) as answer:
                    if answer.status != 503:
                        content = await answer.json() if answer.status != 204 else None
                        self._load.answers[answer.status] += 1
                        return answer.status, answer.headers, content
                    problems.append(f"503 {(await answer.text())[-160:]}")
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                problems.append(f"{type(error).__name__} at {door}")
                self._load.avoid(door)
            await asyncio.sleep(RETRY_AFTER_S if attempt == 0 else 0)
            self._load.retried += 1
        raise Failed("; ".join(problems))


class SteadyLoad:
    """``start``, then ``stop`` and judge the ``histories``. ``doors`` are base URLs; times are since the beginning."""

    def __init__(self, doors: Sequence[str], token: Callable[[UUID], str]) -> None:
        self.token = token
        self.doors = list(doors)
        self.players: list[Player] = []
        self.failures: list[tuple[float, str]] = []
        self.waits: list[tuple[float, float]] = []
        self.answers: Counter[int] = Counter()
        self.retried = 0
        self.stopping = asyncio.Event()
        self._avoided: dict[str, float] = {}
        self._began = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    def now(self) -> float:
        return time.monotonic() - self._began

    def start(self, users: Sequence[tuple[UUID, UUID]]) -> None:
        """(user, product that is bought) each."""
        self.players = [Player(self, number, *user) for number, user in enumerate(users)]
        self._tasks = [asyncio.create_task(player.play()) for player in self.players]

    async def stop(self) -> None:
        """Everybody ends the session; raises what a player met that must not be."""
        self.stopping.set()
        try:
            await asyncio.wait_for(asyncio.gather(*self._tasks), 120)
        finally:
            await self.http.close()

    async def abandon(self) -> None:
        """Whatever is left of it ends, unasked."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.http.close()

    def raise_what_a_player_met(self) -> None:
        """That must not be, if any did."""
        for task in self._tasks:
            if task.done():
                task.result()

    def door(self, number: int) -> str:
        """As a load balancer chooses: not one that nobody answered at a moment ago, unless there is no other."""
        now = self.now()
        good = [door for door in self.doors if self._avoided.get(door, 0.0) <= now] or self.doors
        return good[number % len(good)]

    def avoid(self, door: str) -> None:
        self._avoided[door] = self.now() + 2.0

    async def stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return False
        return True

    def failures_since(self, at: float) -> list[str]:
        return [what for when, what in self.failures if when >= at]

    def longest_wait_since(self, at: float) -> float:
        """Seconds from a call to its answer, however often it was tried, of calls that began since ``at``."""
        return max(wait for began, wait in self.waits if began >= at)

    async def all_answered_after(self, at: float, timeout_s: float) -> float:
        """Seconds from ``at`` until every player had an answer to a call that was sent later."""
        async with asyncio.timeout(timeout_s):
            while any(player.answered_at < at for player in self.players):
                self.raise_what_a_player_met()
                await asyncio.sleep(0.05)
        return self.now() - at
