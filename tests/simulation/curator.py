"""A player who keeps a library: hides, rates and files games, buys and returns others, and follows what changes.

One at a time and alone, so that what was acknowledged last is what every later read must show (promise 5), and what the
tables must hold in the end. A copy of the library is kept by questions for changes only (R-LIB-9).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from random import Random

from actors.domain.commands import (
    CLEAR_RATING,
    ChangeItems,
    Command,
    CreateCategory,
    DeleteCategory,
    ItemChange,
    ListItems,
)
from actors.domain.ids import CommandId, ItemId, Micros, ProductId, UserId, format_id
from actors.domain.model import LibraryItem
from actors.domain.replies import Done, ItemsChanged, ItemsPage, OneCategory, Refused, Reply
from actors.ingress.payloads import PURCHASED, REFUNDED, EventType
from cluster.verdict.history import History
from cluster.verdict.shelf import Kept
from tests.simulation.world import TOPICS, World

Ask = Callable[[Command, CommandId | None], Awaitable[Reply | None]]

PAGE = 3
"""Small, so that the library changes while pages are turned."""


def kept_of(item: LibraryItem) -> Kept:
    return Kept(item.is_hidden, item.user_rating, item.category_ids)


class Curator:
    """``copy`` is the library as it was followed; what was acknowledged stands in the history's shelf."""

    def __init__(self, world: World, history: History, random: Random, ask: Ask, stop: asyncio.Event) -> None:
        self._world = world
        self._history = history
        self._random = random
        self._ask = ask
        self._stop = stop
        self._shelf = history.shelf
        self._orders: list[tuple[str, UserId, bytes]] = []
        self._since = Micros(0)
        self._traded: set[ProductId] = set()
        self.copy: dict[ItemId, LibraryItem] = {}

    async def live(self) -> None:
        while not self._stop.is_set():
            acts = (self._change, self._change, self._create, self._delete, self._follow, self._follow)
            await self._random.choice(acts)()
            if self._random.random() < 0.2 and not self._orders:
                self.trade()
            if self._orders:
                self._world.kafka.append(*self._orders.pop())
            await asyncio.sleep(self._random.uniform(0, 0.5))
        while self._orders:
            self._world.kafka.append(*self._orders.pop())

    def trade(self) -> None:
        """Orders of a product that nobody plays, and refunds of some, each now and then twice, in any order; what is
        heard of them comes one after the other, over seconds."""
        product = ProductId(self._random.randbytes(16))
        self._traded.add(product)
        events: list[tuple[str, UserId, bytes]] = []
        owned = False
        for _ in range(self._random.randint(1, 2)):
            order = self._random.randbytes(16)
            refunded = self._random.random() < 0.6
            owned = owned or not refunded
            events.append(self._event(PURCHASED, order, product, "purchase_timestamp"))
            if refunded:
                events.append(self._event(REFUNDED, order, product, "refund_timestamp"))
        events += [event for event in events if self._random.random() < 0.3]
        self._random.shuffle(events)
        self._orders = events
        if owned:
            self._history.products.append(product)

    def _event(self, kind: EventType, order: bytes, product: ProductId, time: str) -> tuple[str, UserId, bytes]:
        body = {
            "user_id": format_id(self._history.user_id),
            "order_id": format_id(order),
            "items": [{"product_id": format_id(product)}],
            time: "2024-03-15T09:55:00Z",
        }
        return TOPICS[kind], self._history.user_id, json.dumps(body).encode()

    async def _done(self, command: Command) -> Reply | None:
        """Asks until it is answered; None if the simulation ends before."""
        command_id = CommandId(self._random.randbytes(16))
        while True:
            reply = await self._ask(command, command_id)
            if isinstance(reply, ItemsChanged | OneCategory | Done | Refused):
                return reply
            if self._stop.is_set() and self._random.random() < 0.1:
                return None
            await asyncio.sleep(self._random.uniform(0.05, 0.5))

    async def _change(self) -> None:
        items = [item for item in self.copy.values() if item.product_id in self._playable()]
        if not items:
            await self._follow()
            return
        item = self._random.choice(items)
        known = list(self._shelf.categories)
        categories = tuple(self._random.sample(known, self._random.randint(0, len(known))))
        wanted = Kept(self._random.random() < 0.5, self._random.choice((None, 1, 5)), categories)
        self._shelf.change_sent(item.item_id)
        change = ItemChange(item.item_id, wanted.is_hidden, wanted.user_rating or CLEAR_RATING, categories)
        reply = await self._done(ChangeItems((change,)))
        if isinstance(reply, ItemsChanged):
            self._shelf.changed(item.item_id, wanted)
        elif reply is not None:
            self._history.wrong(f"a change of an own item was answered {reply}")

    def _playable(self) -> set[ProductId]:
        """Products that are never refunded: what is traded goes and comes back on the way to what it is in the end."""
        return set(self._history.products) - self._traded

    async def _create(self) -> None:
        if len(self._shelf.categories) >= 3:
            return
        self._shelf.category_sent()
        name = f"category {self._shelf.categories_wanted}"
        reply = await self._done(CreateCategory(name))
        if isinstance(reply, OneCategory):
            self._shelf.category_named(reply.category.category_id, name)
        elif reply is not None:
            self._history.wrong(f"a new category was answered {reply}")

    async def _delete(self) -> None:
        """Refused means that it was not there, although it was acknowledged."""
        if not self._shelf.categories:
            return
        gone = self._random.choice(list(self._shelf.categories))
        self._shelf.deletion_sent(gone)
        reply = await self._done(DeleteCategory(gone))
        if reply is None:
            self._shelf.deletion_unanswered(gone)
        elif isinstance(reply, Done):
            self._shelf.category_deleted(gone)
        else:
            self._history.wrong(f"the end of a category was answered {reply}")

    async def _follow(self) -> bool:
        """Brings the copy up to date; False if a page did not come. Every page shows what was acknowledged."""
        number, until = 1, None
        while True:
            query = ListItems(updated_since=self._since, include_hidden=True, page=number, limit=PAGE)
            page = await self._ask(query, None)
            if not isinstance(page, ItemsPage):
                return False
            until = page.changed_at if until is None else until
            for one in page.items:
                self._check(one.item)
                self.copy[one.item.item_id] = one.item
            for gone in page.removed:
                self.copy.pop(gone.item_id, None)
            if number * PAGE >= page.total_items:
                break
            number += 1
        if until < self._since:
            self._history.wrong("the latest change of a library moved back")
        self._since = until
        return True

    def _check(self, item: LibraryItem) -> None:
        self._history.all_wrong(self._shelf.saw_item(item.item_id, kept_of(item)))

    async def judge(self, stored: Mapping[ItemId, LibraryItem]) -> None:
        """When everything is at rest: a copy that was kept by changes alone is what the tables hold."""
        while not await self._follow():  # noqa: ASYNC110 - a read that failed has no event
            await asyncio.sleep(0.2)
        if self.copy != stored:
            self._history.wrong("a copy that was kept by changes alone differs from the table")
