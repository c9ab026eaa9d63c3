"""What the service knows of a product beyond its id: title, cover, and whether it is free (R-LIB-4, R-LIB-5).

The catalog owns it; here it is only remembered. Ids are in their canonical text form, as the catalog's own interface
has them.
"""

from typing import Protocol

from msgspec import UNSET, Struct, UnsetType


class Product(Struct, frozen=True, kw_only=True):
    """``updated_at`` is the catalog's own time in milliseconds since 1970: it orders what is learned, whatever way it
    came. An older state of a product never replaces a newer one."""

    product_id: str
    title: str
    cover_image_url: str | None = None
    free_to_play: bool = False
    updated_at: int


class ProductUpdate(Struct, frozen=True, kw_only=True):
    """What ``catalog.product.updated.v1`` says: what is UNSET did not change, or changed to what was not said."""

    product_id: str
    updated_at: int
    title: str | UnsetType = UNSET
    cover_image_url: str | UnsetType | None = UNSET


class ProductUpdates(Protocol):
    """Where news of products go."""

    async def apply(self, update: ProductUpdate) -> None:
        """Every process that remembers the product hears of it, at the latest when its own copy runs out.
        ``CatalogUnavailable``: it could not be told; telling it again is safe."""
        ...


class CatalogUnavailable(Exception):
    """Nothing could be learned, and nothing is remembered. Trying again later may help."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s
