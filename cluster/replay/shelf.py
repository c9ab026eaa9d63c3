"""What a client sees of its user's library: the pages of ``GET /items``."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from cluster.replay.figures import Call, Figures
from cluster.replay.patience import GaveUp, Patience
from cluster.replay.pause import Pause
from cluster.replay.service import Refused, Service

PAGE = 100
FIRST_POLL_S = 0.05
LONGEST_POLL_S = 2.0


class SeenItem(NamedTuple):
    product_id: str
    total_playtime_seconds: int


class _Attributes(msgspec.Struct):
    product_id: str
    total_playtime_seconds: int


class _Item(msgspec.Struct):
    attributes: _Attributes


class _Meta(msgspec.Struct):
    total_items: int


class _Page(msgspec.Struct):
    data: list[_Item]
    meta: _Meta


_page = msgspec.json.Decoder(_Page)


async def read_items(service: Service, headers: dict[str, str]) -> list[SeenItem]:
    """All pages, one after the other. Raises ``GaveUp``, ``Refused``."""
    seen: list[SeenItem] = []
    number = 1
    while True:
        answer = await service.call(
            Call.ITEMS, "GET", service.url(f"/items?sort_by=name_asc&page={number}&limit={PAGE}"), headers
        )
        if answer.status != 200:
            raise Refused("items", answer)
        try:
            page = _page.decode(answer.body)
        except msgspec.DecodeError as error:
            raise Refused(f"items, not as specified ({error})", answer) from error
        seen.extend(SeenItem(item.attributes.product_id, item.attributes.total_playtime_seconds) for item in page.data)
        if number * PAGE >= page.meta.total_items or not page.data:
            return seen
        number += 1


class Shelf:
    """One user's games as far as they have shown. Its lanes share one poll."""

    def __init__(
        self, service: Service, headers: dict[str, str], *, figures: Figures, pause: Pause, patience: Patience
    ) -> None:
        self._service = service
        self._headers = headers
        self._figures = figures
        self._pause = pause
        self._patience = patience
        self._shown: set[str] = set()
        self._polling = asyncio.Lock()

    async def wait_for(self, product_id: str) -> bool:
        """Whether the game has shown; not if the run was cut meanwhile. Raises ``GaveUp``, ``Refused``."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._patience.total_s
        pause_s = FIRST_POLL_S
        async with self._polling:
            while product_id not in self._shown and not self._pause.is_cut:
                self._note(item.product_id for item in await read_items(self._service, self._headers))
                if product_id in self._shown:
                    break
                if loop.time() > give_up_at:
                    raise GaveUp(f"product {product_id} in GET /items", "it never showed")
                await self._pause.until(loop.time() + pause_s)
                pause_s = min(LONGEST_POLL_S, pause_s * 1.6)
        return product_id in self._shown

    def _note(self, product_ids: Iterable[str]) -> None:
        before = len(self._shown)
        self._shown.update(product_ids)
        self._figures.items_seen += len(self._shown) - before
