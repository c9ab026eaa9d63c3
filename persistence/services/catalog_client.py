"""The Catalog Service's one call, and a careful reading of its answer."""

from collections.abc import Mapping, Sequence

from catalog.v1 import catalog_service_pb2 as messages
from catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from grpc import aio

from actors.catalog import Product
from persistence.services.calling import Caller, WrongAnswer
from persistence.services.catalog_ports import Learned

MAX_IDS = 500
MAX_TITLE = 500
MAX_URL = 2_048


class CatalogClient:
    """Asks for at most ``MAX_IDS`` products at once."""

    def __init__(self, channel: aio.Channel, caller: Caller) -> None:
        self._stub = CatalogServiceStub(channel)
        self._caller = caller

    async def fetch(self, product_ids: Sequence[str]) -> Mapping[str, Learned]:
        """Ids that the catalog could not read now are absent. ``NeighbourUnavailable``."""
        request = messages.BatchGetProductsRequest(product_ids=product_ids)

        async def attempt(timeout_s: float) -> Mapping[str, Learned]:
            return _read(await self._stub.BatchGetProducts(request, timeout=timeout_s), frozenset(product_ids))

        return await self._caller.call(attempt)


def _read(answer: messages.BatchGetProductsResponse, asked: frozenset[str]) -> Mapping[str, Learned]:
    """``WrongAnswer`` when anything in it was not asked for: better no title than somebody else's; or when it says
    nothing. A product that cannot be shown is left out alone: it spoils no other's and says nothing of the service."""
    learned: dict[str, Learned] = {}
    for found in answer.products:
        if found.product_id not in asked:
            raise WrongAnswer("a product that was not asked for")
        cover = found.cover_image_url if found.HasField("cover_image_url") else None
        if not 0 < len(found.title) <= MAX_TITLE or not (cover is None or 0 < len(cover) <= MAX_URL):
            continue
        product = Product(
            product_id=found.product_id,
            title=found.title,
            cover_image_url=cover,
            free_to_play=found.free_to_play,
            updated_at=found.updated_at_ms,
        )
        learned[found.product_id] = Learned(product=product, as_of=max(answer.as_of_ms, found.updated_at_ms))
    for missing in answer.missing_product_ids:
        if missing not in asked or missing in learned:
            raise WrongAnswer("a missing id that is there, or was not asked for")
        learned[missing] = Learned(product=None, as_of=answer.as_of_ms)
    if asked and not answer.products and not answer.missing_product_ids:
        raise WrongAnswer("nothing of what was asked for")
    return learned
