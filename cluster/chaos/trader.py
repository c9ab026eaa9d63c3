"""A user who buys, is given, activates and returns games, and never plays: every ground comes by way of Kafka, some
twice and some late, and whoever asks for access is told the truth (R-LIB-5, R-RPC-1).

One thing after the other: the next one is sent when the last one shows, because topics keep no order among each other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from actors.domain.ids import ProductId, format_id
from cluster.chaos.caller import Unanswered
from cluster.chaos.curator import Curator
from cluster.chaos.looks import Looks
from cluster.chaos.shop import Paper, PaperKind, now_text
from cluster.chaos.user import User, noted

GROUNDS: tuple[PaperKind, ...] = ("purchase", "gift", "key")
MOST_PRODUCTS = 40
SHOWN_POLL_S = 0.5
SHOWN_PATIENCE_S = 300.0
REMEMBERED = 20
DELIVERED_AGAIN_SHARE = 0.15
OVERTAKEN_SHARE = 0.1
RETURNED_AGAIN_SHARE = 0.5
"""So often the ground of what was returned comes once more, and must give nothing."""


class Trader:
    """``free``: products that cost nothing."""

    def __init__(self, user: User, free: Sequence[UUID]) -> None:
        self.user = user
        self.history = user.history
        self._free = [ProductId(product.bytes) for product in free]
        self._looks = Looks(user)
        self._curator = Curator(user)
        self._grounds: dict[ProductId, Paper] = {}
        self._returned: list[ProductId] = []
        self._handed_in: list[Paper] = []

    async def live(self) -> None:
        stop, pace, random = self.user.around.stop, self.user.around.pace, self.user.random
        acts: tuple[Callable[[], Awaitable[None]], ...] = (
            self._acquire,
            self._acquire,
            self._give_back,
            self._curator.act,
            self._look,
        )
        with noted(self.history):
            await self._add_free()
            while not stop.is_set():
                await random.choice(acts)()
                if self._handed_in and self.user.happens(DELIVERED_AGAIN_SHARE):
                    await self.user.around.shop.hand_in(self.user.name, random.choice(self._handed_in))
                await self.user.rest(random.uniform(*pace.rests_s))

    async def look_at_the_end(self) -> None:
        """Access to each product that ever was, the categories, and the last listing."""
        with noted(self.history):
            for product_id in list(self.history.shelf.owned):
                await self._looks.access(product_id)
            await self._looks.categories()
            self.history.final_totals = await self._looks.items()

    async def _add_free(self) -> None:
        """Acknowledged, so it is there at once."""
        product_id = self.user.random.choice(self._free)
        data = {"type": "libraryItemCreation", "attributes": {"product_id": format_id(product_id)}}
        answer = await self.user.post("free", "/items", data, again_share=self.user.around.pace.rare_repeated_share)
        if answer.status != 201:
            self.user.refuse("a free product", answer)
        self.history.products.append(product_id)
        self.history.shelf.will_own(product_id, True)
        self.history.shelf.arrived.add(product_id)
        await self._look()

    async def _acquire(self) -> None:
        """A new product, or one that was returned: then it is the same item, as the user left it."""
        random = self.user.random
        if len(self._grounds) >= MOST_PRODUCTS:
            return await self._give_back()
        if self.user.happens(OVERTAKEN_SHARE):
            return await self._overtaken()
        again = self._returned and random.random() < 0.5
        product_id = random.choice(self._returned) if again else ProductId(random.randbytes(16))
        paper = self._paper(random.choice(GROUNDS), self.user.new_uuid(), product_id)
        if again:
            self._returned.remove(product_id)
        self._grounds[product_id] = paper
        self.history.products.append(product_id)
        await self._until_shown(paper, product_id, True)
        return None

    async def _give_back(self) -> None:
        if not self._grounds:
            return
        product_id = self.user.random.choice(list(self._grounds))
        ground = self._grounds.pop(product_id)
        self.history.products.remove(product_id)
        await self._until_shown(self._paper("refund", ground.order_id, product_id), product_id, False)
        self._returned.append(product_id)
        if self.user.happens(RETURNED_AGAIN_SHARE):
            await self.user.around.shop.hand_in(self.user.name, ground)

    async def _overtaken(self) -> None:
        """A refund and its ground at once, in whatever order they come: in the end it gives nothing."""
        order_id, product_id = self.user.new_uuid(), ProductId(self.user.random.randbytes(16))
        for kind in ("refund", self.user.random.choice(GROUNDS)):
            await self._hand_in(self._paper(kind, order_id, product_id))

    async def _until_shown(self, paper: Paper, product_id: ProductId, owned: bool) -> None:
        shelf, calls = self.history.shelf, self.user.around.calls
        shelf.will_own(product_id, owned)
        call = calls.begin(self.user.name, "shown", paper.order_id)
        try:
            await self._hand_in(paper)
            while True:
                await self._looks.access(product_id)
                if product_id in shelf.arrived:
                    calls.answered(call, "shown", took_s=0.0)
                    return
                if asyncio.get_running_loop().time() > call.began + SHOWN_PATIENCE_S:
                    raise Unanswered(f"{paper.kind} {paper.order_id} did not show within {SHOWN_PATIENCE_S:.0f} s")
                await asyncio.sleep(SHOWN_POLL_S)
        finally:
            calls.end(call)

    async def _hand_in(self, paper: Paper) -> None:
        self._handed_in = [*self._handed_in[1 - REMEMBERED :], paper]
        await self.user.around.shop.hand_in(self.user.name, paper)

    async def _look(self) -> None:
        await self._looks.items()
        known = list(self.history.shelf.owned)
        await self._looks.access(self.user.random.choice(known))
        await self._looks.access(ProductId(self.user.random.randbytes(16)))
        await self._looks.categories()

    def _paper(self, kind: PaperKind, order_id: str, product_id: ProductId) -> Paper:
        return Paper(
            kind=kind,
            user_id=self.user.text,
            order_id=order_id,
            event_id=self.user.new_uuid(),
            product_ids=(format_id(product_id),),
            at=now_text(),
        )
