"""Copies in a real Valkey, written by hosts over Postgres, while hosts die, shards move and Valkey is restarted."""

import asyncio
import os
import signal
from random import Random
from uuid import uuid4

from actors.copies.answering import FromCopy, LibraryPages
from actors.domain.commands import AddPurchase, EndSession, ListItems, StartSession
from actors.domain.ids import SECOND, CommandId, Micros, OrderId, ProductId, UserId
from actors.domain.replies import Done, ItemsPage, SessionIsLive, SessionIsOver
from actors.titles import CatalogTitles
from cluster.dev.stack import DevStack
from cluster.development import NO_SERVERS
from cluster.settings import load_settings
from cluster.verdict.history import End, History
from cluster.wiring.neighbours import Neighbours
from tests.support.small_cluster import SmallCluster, small_cluster

PLAYERS = 12
TROUBLE_S = 12.0
CLOCKS_AGREE = Micros(SECOND // 10)


class Player:
    """Plays and looks, and holds every answer against those before it."""

    def __init__(self, cluster: SmallCluster, pages: LibraryPages, number: int) -> None:
        self._cluster = cluster
        self._pages = pages
        self._random = Random(number)
        self._user_id = UserId(uuid4().bytes)
        self._products = [ProductId(uuid4().bytes) for _ in range(3)]
        self.history = History(user_id=self._user_id, name=f"user {number}", now=asyncio.get_running_loop().time)
        self.copies = 0
        self.pages_seen = 0

    async def buy(self) -> None:
        command = AddPurchase(OrderId(uuid4().bytes), tuple(self._products), Micros(1))
        assert isinstance(await self._cluster.call(self._user_id, command), Done)

    async def play(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            product_id, command_id = self._random.choice(self._products), CommandId(uuid4().bytes)
            live = await self._until(SessionIsLive, StartSession(product_id, "pc"), command_id)
            session = live.session
            told = self.history.started(
                session_id=session.session_id, product_id=product_id, device_id="pc", started_at=session.started_at
            )
            await asyncio.sleep(self._random.uniform(0, 0.3))
            over = (await self._until(SessionIsOver, EndSession(session.session_id))).session
            self.history.end_answered(
                told, End(ended_at=over.ended_at, duration_s=over.duration_s, reason=over.end_reason)
            )
            await asyncio.sleep(self._random.uniform(0, 0.2))

    async def look(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await asyncio.sleep(self._random.uniform(0.02, 0.2))
            known = self.history.before_reading()
            reply = await self._pages.ask(self._user_id, ListItems(limit=100), timeout_s=0.3)
            page = reply.answer if isinstance(reply, FromCopy) else reply
            if not isinstance(page, ItemsPage):
                continue
            items = {one.item.product_id: one.item for one in page.items}
            totals = {product_id: item.total_playtime_s for product_id, item in items.items()}
            if isinstance(reply, FromCopy):
                self.copies += 1
                played = {product_id: item.last_played_at or 0 for product_id, item in items.items()}
                self.history.saw_copy(Micros(reply.stale_since - CLOCKS_AGREE), totals, played)
            else:
                self.pages_seen += 1
                self.history.saw_items(known, totals)

    async def _until(self, kind: type, command: object, command_id: CommandId | None = None) -> object:
        while True:
            reply = await self._cluster.router.call(self._user_id, command, timeout_s=2.0, command_id=command_id)
            if isinstance(reply, kind):
                return reply
            await asyncio.sleep(0.05)


async def trouble(cluster: SmallCluster, stack: DevStack) -> None:
    """Deaths and moves, and a Valkey that stands still, dies and comes back empty; a few seconds each."""
    random = Random(7)
    loop = asyncio.get_running_loop()
    end = loop.time() + TROUBLE_S
    while loop.time() < end:
        victim = random.choice((0, 1))
        await cluster.kill(victim)
        await asyncio.sleep(random.uniform(0.6, 1.2))
        await cluster.start(victim)
        await cluster.spread(0, 1)
        await cluster.spread(random.choice((0, 1)))
        await cluster.spread(0, 1)
    pid = stack.valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(2.0)
    os.kill(pid, signal.SIGCONT)
    await asyncio.to_thread(stack.valkey.kill)
    await asyncio.sleep(1.0)
    await asyncio.to_thread(stack.up, ["valkey"])
    await asyncio.sleep(3.0)
    await cluster.kill(0)
    await cluster.kill(1)
    await asyncio.sleep(1.5)
    await cluster.start(0)
    await cluster.start(1)


async def test_no_page_is_older_than_an_acknowledged_write_unless_it_says_so(
    postgres_dsn: str, dev_stack: DevStack, redis_variables: dict[str, str]
) -> None:
    """Promise 5, R-DB-2: what comes from a copy says since when it may be old, and all that was acknowledged before is
    in it; Valkey slow, dead and empty changes nothing else."""
    settings = load_settings({"LIBRARY_ENVIRONMENT": "development", **NO_SERVERS, **redis_variables})
    neighbours = Neighbours(settings)
    copies = neighbours.copies
    assert copies is not None
    async with small_cluster(postgres_dsn, 0, 1, copies=copies) as cluster:
        pages = LibraryPages(cluster.router, copies, CatalogTitles(cluster.catalog, asyncio.get_running_loop().time))
        players = [Player(cluster, pages, number) for number in range(PLAYERS)]
        stop = asyncio.Event()
        await asyncio.gather(*(player.buy() for player in players))
        lives = [asyncio.create_task(life) for player in players for life in (player.play(stop), player.look(stop))]
        await asyncio.sleep(1.0)
        await trouble(cluster, dev_stack)
        stop.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*lives)
    await neighbours.close()
    assert [wrong for player in players for wrong in player.history.violations] == []
    assert sum(player.copies for player in players) > 50
    assert sum(player.pages_seen for player in players) > 50
    assert sum(len(player.history.sessions) for player in players) > 50
