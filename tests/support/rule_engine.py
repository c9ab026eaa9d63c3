"""A tiny engine for tests of the doors: the real rules on a dict, one clock that only moves when told.

No batching, no journal, no shards: a command is decided, evolved and answered at once.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from msgspec.structs import replace

from actors.domain.access import check_pairs
from actors.domain.commands import AddPurchase, ChangeInstallation, Command, Heartbeat
from actors.domain.context import Context, Policy
from actors.domain.ids import SECOND, CommandId, Micros, OrderId, ProductId, SessionId, UserId, to_datetime
from actors.domain.model import NOBODY, Aggregate, Library, NotLoaded, User
from actors.domain.replies import UNKNOWN_ACCESS, Reply, Unavailable
from actors.domain.user import decide_once, evolve
from actors.history import (
    STATS_DAYS,
    DayPlaytime,
    HistoryPosition,
    PlatformPlaytime,
    PlaytimeStats,
    ProductPlaytime,
    SessionRecord,
)
from actors.loading import with_ended, with_past
from actors.many_access import OnAnswers, Pair
from actors.titles import CatalogTitles
from tests.memory import MemoryAccounts, MemoryCatalog, MemoryDownloads
from tests.memory.copies import MemoryCopies

NOON = Micros(1_710_504_000 * SECOND)
"""2024-03-15T12:00:00Z."""


class RuleEngine:
    """Fulfils the door's ``UserActors`` and ``SessionHistory``.

    ``answer_instead`` is given to every caller while it is set; ``hold`` lets callers wait until it is released.
    ``silent_users`` get no answer in time.
    ``at_once``: whether ``try_call`` is possible; ``lose``: whether what it learns is lost, so that ``call`` follows.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.now = NOON
        self.catalog = MemoryCatalog()
        self.downloads = MemoryDownloads()
        self.accounts = MemoryAccounts()
        self.copies = MemoryCopies()
        self.titles = CatalogTitles(self.catalog, lambda: self.now / SECOND)
        self.users: dict[UserId, User] = {}
        self.map_complete = True
        self.answer_instead: Reply | None = None
        self.raise_instead: Exception | None = None
        self.tables_away: Exception | None = None
        self.hold: asyncio.Event | None = None
        self.at_once = True
        self.refuse_the_lane = False
        self.lose = False
        self.silent_users: set[UserId] = set()
        self.timeouts: list[float] = []
        self.pairs: list[Pair] = []
        self._held: list[asyncio.Task[Any]] = []
        self.calls: list[tuple[UserId, Command, CommandId | None, str | None]] = []
        self._ids = count(1)

    def try_call(
        self,
        user_id: UserId,
        command: Command,
        on_reply: Callable[[Reply | None], None],
        *,
        timeout_s: float,
        trace: str | None = None,
    ) -> bool:
        if self.refuse_the_lane:
            raise AssertionError("on the lane")
        if not self.at_once:
            return False
        attempt = asyncio.get_running_loop().create_task(self.call(user_id, command, timeout_s=timeout_s, trace=trace))
        attempt.add_done_callback(lambda done: on_reply(None if done.exception() or self.lose else done.result()))
        return True

    def check_many(
        self, pairs: Sequence[Pair], on_answers: OnAnswers, *, timeout_s: float, trace: str | None = None
    ) -> None:
        """From memory; nothing when ``try_call`` would not be possible."""
        self.pairs += pairs
        if self.answer_instead is not None or self.raise_instead is not None or not self.at_once:
            on_answers([UNKNOWN_ACCESS] * len(pairs))
            return
        since: list[Micros] = []
        known = {user_id: user for user_id, user in self.users.items() if user_id not in self.silent_users}
        for user_id, product_id in pairs:
            check_pairs(known, user_id + product_id, since)
        if self.hold is None:
            on_answers(since)
        else:
            held = asyncio.get_running_loop().create_task(asyncio.wait_for(self.hold.wait(), timeout_s))
            held.add_done_callback(
                lambda done: on_answers([UNKNOWN_ACCESS] * len(pairs) if done.exception() else since)
            )
            self._held.append(held)

    @property
    def beats(self) -> int:
        """Heartbeats that were asked for."""
        return sum(isinstance(command, Heartbeat) for _, command, _, _ in self.calls)

    async def call(
        self,
        user_id: UserId,
        command: Command,
        *,
        timeout_s: float,
        command_id: CommandId | None = None,
        trace: str | None = None,
    ) -> Reply:
        self.calls.append((user_id, command, command_id, trace))
        self.timeouts.append(timeout_s)
        if user_id in self.silent_users:
            await asyncio.sleep(timeout_s)
            return Unavailable("no answer in time", unknown=True)
        if self.hold is not None:
            await asyncio.wait_for(self.hold.wait(), timeout_s)
        if self.raise_instead is not None:
            raise self.raise_instead
        if self.answer_instead is not None:
            return self.answer_instead
        while True:
            try:
                return self.decide(user_id, command, command_id)
            except NotLoaded as missing:
                if missing.aggregate is not Aggregate.TITLES:
                    raise
                await self.titles.learn(missing.products)

    def decide(self, user_id: UserId, command: Command, command_id: CommandId | None = None) -> Reply:
        user = self.users.get(user_id, replace(NOBODY, library=Library(), commands={}))
        while True:
            try:
                events, answer = decide_once(user, command, command_id, self._context())
                break
            except NotLoaded as missing:
                if missing.past is not None:
                    user = with_past(missing.past, {}, {})(user)
                    continue
                if missing.aggregate is not Aggregate.ENDED_SESSION or missing.session_id is None:
                    raise
                user = with_ended(missing.session_id, None)(user)
        for event in events:
            user = evolve(user, event)
        self.users[user_id] = user
        return answer

    def buy(self, user_id: UserId, *products: ProductId) -> None:
        order = OrderId(next(self._ids).to_bytes(16, "big"))
        self.decide(user_id, AddPurchase(order, products, self.now))

    def install(self, user_id: UserId, product: ProductId) -> None:
        self.decide(user_id, ChangeInstallation(product, "installed", self.now))

    def pass_time(self, seconds: float) -> None:
        self.now = Micros(self.now + int(seconds * SECOND))

    def service_now(self) -> Micros:
        return self.now

    async def page(
        self, user_id: UserId, *, product_id: ProductId | None, before: HistoryPosition | None, limit: int
    ) -> list[SessionRecord]:
        if self.tables_away is not None:
            raise self.tables_away
        records = [record for record in self._records(user_id) if product_id in (None, record.product_id)]
        records.sort(key=lambda record: (record.started_at, record.session_id), reverse=True)
        if before is not None:
            place = (before.started_at, before.session_id)
            records = [record for record in records if (record.started_at, record.session_id) < place]
        return records[:limit]

    async def stats(self, user_id: UserId, *, now: Micros) -> PlaytimeStats:
        if self.tables_away is not None:
            raise self.tables_away
        ended = [record for record in self._records(user_id) if record.duration_s is not None]
        days: dict[object, int] = {}
        products: dict[ProductId, list[int]] = {}
        platforms: dict[object, list[int]] = {}
        today = to_datetime(now).date()
        for record in ended:
            day = to_datetime(record.started_at).date()
            if (today - day).days < STATS_DAYS:
                days[day] = days.get(day, 0) + (record.duration_s or 0)
            products.setdefault(record.product_id, []).append(record.duration_s or 0)
            platforms.setdefault(record.platform, []).append(record.duration_s or 0)
        return PlaytimeStats(
            total_s=sum(record.duration_s or 0 for record in ended),
            total_sessions=len(ended),
            last_two_weeks_s=sum(days.values()),
            per_day=[DayPlaytime(day=day, seconds=s) for day, s in sorted(days.items())],  # type: ignore[arg-type]
            per_product=[
                ProductPlaytime(product_id=p, seconds=sum(s), sessions=len(s)) for p, s in sorted(products.items())
            ],
            per_platform=[
                PlatformPlaytime(platform=p, seconds=sum(s), sessions=len(s))  # type: ignore[arg-type]
                for p, s in platforms.items()
            ],
        )

    def _records(self, user_id: UserId) -> list[SessionRecord]:
        user = self.users.get(user_id, NOBODY)
        live = [
            SessionRecord(
                session_id=s.session_id,
                product_id=s.product_id,
                started_at=s.started_at,
                last_heartbeat_at=s.last_heartbeat_at,
                device_id=s.device_id,
                platform=s.platform,
            )
            for s in user.live
        ]
        ended = [
            SessionRecord(
                session_id=s.session_id,
                product_id=s.product_id,
                started_at=s.started_at,
                last_heartbeat_at=s.last_heartbeat_at,
                ended_at=s.ended_at,
                duration_s=s.duration_s,
                end_reason=s.end_reason,
                device_id=s.device_id,
                platform=s.platform,
                client_id=s.client_id,
            )
            for s in user.ended.values()
            if s is not None
        ]
        return live + ended

    def _context(self) -> Context:
        return Context(
            now=self.now,
            real_now=self.now,
            heard_since=Micros(0),
            interval_s=self.policy.heartbeat_interval_s,
            policy=self.policy,
            new_id=lambda: SessionId(next(self._ids).to_bytes(16, "big")),
            titles=self.titles,
        )
