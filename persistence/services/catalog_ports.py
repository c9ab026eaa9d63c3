"""What the remembered catalog stands on: the service itself, and what processes share of its answers."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import UNSET, Struct
from msgspec.structs import replace

from actors.catalog import Product, ProductUpdate


class Learned(Struct, frozen=True, kw_only=True):
    """What is known of one id as of ``as_of`` (the catalog's time, ms); None: there is no such product. ``stale``: it
    may be shown, and is to be asked for again."""

    product: Product | None
    as_of: int
    stale: bool = False

    def updated(self, update: ProductUpdate) -> "Learned":
        """With what an update says, which is not all there is to know: so it is stale."""
        if self.product is None or update.updated_at <= self.as_of:
            return self
        product = replace(self.product, updated_at=update.updated_at)
        if update.title is not UNSET:
            product = replace(product, title=update.title)
        if update.cover_image_url is not UNSET:
            product = replace(product, cover_image_url=update.cover_image_url)
        return Learned(product=product, as_of=update.updated_at, stale=True)


class CatalogSource(Protocol):
    async def fetch(self, product_ids: Sequence[str]) -> Mapping[str, Learned]:
        """Ids that could not be read now are absent. ``NeighbourUnavailable``."""
        ...


class SharedUnavailable(Exception):
    """What processes share cannot be reached now. Everything works without it, with more calls."""


class SharedProducts(Protocol):
    """Never waits long. ``SharedUnavailable``."""

    async def read(self, product_ids: Sequence[str]) -> Mapping[str, Learned]:
        """What is there; stale ones too."""
        ...

    async def write(self, learned: Mapping[str, Learned]) -> frozenset[str]:
        """The ids for which something newer is there or was announced: these were not written."""
        ...
