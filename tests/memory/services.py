"""The neighbours in memory: a catalog, a download service and an account service as the ports show them."""

from collections.abc import Collection, Mapping

from actors.catalog import CatalogUnavailable, Product, ProductUpdate
from actors.neighbours import InstallRefused, NeighbourUnavailable

RETRY_AFTER_S = 1.0


class MemoryCatalog:
    """``products`` is what the catalog service has; ``remembered`` what this process knows of it."""

    def __init__(self, *products: Product) -> None:
        self.products = {product.product_id: product for product in products}
        self.remembered: dict[str, Product | None] = {}
        self.down = False
        self.generation = 0
        self.asked: list[list[str]] = []
        self.heard: list[ProductUpdate] = []

    def peek(self, product_id: str) -> Product | None:
        return self.remembered.get(product_id)

    async def get_many(self, product_ids: Collection[str]) -> Mapping[str, Product | None]:
        wanted = list(dict.fromkeys(product_ids))
        if self.down:
            known = {product_id: self.remembered[product_id] for product_id in wanted if product_id in self.remembered}
            if wanted and not known:
                raise CatalogUnavailable(RETRY_AFTER_S)
            return known
        missing = [product_id for product_id in wanted if product_id not in self.remembered]
        if missing:
            self.asked.append(missing)
        for product_id in missing:
            self._learn(product_id, self.products.get(product_id))
        return {product_id: self.remembered[product_id] for product_id in wanted}

    def update(self, product: Product) -> None:
        """The catalog changes a product and says so; an older change than the one known is ignored."""
        if (had := self.products.get(product.product_id)) is None or had.updated_at < product.updated_at:
            self.products[product.product_id] = product
        if product.product_id in self.remembered:
            known = self.remembered[product.product_id]
            if known is None or known.updated_at < product.updated_at:
                self._learn(product.product_id, product)

    async def apply(self, update: ProductUpdate) -> None:
        """The port ``ProductUpdates``; ``heard`` lists what came."""
        if self.down:
            raise CatalogUnavailable(RETRY_AFTER_S)
        self.heard.append(update)

    def _learn(self, product_id: str, product: Product | None) -> None:
        if self.remembered.get(product_id) != product:
            self.generation += 1
        self.remembered[product_id] = product


class MemoryDownloads:
    def __init__(self) -> None:
        self.requested: dict[tuple[str, str], None] = {}
        self.refused: dict[str, str] = {}
        self.down = False

    async def request_install(self, *, user_id: str, product_id: str) -> None:
        if self.down:
            raise NeighbourUnavailable("download", RETRY_AFTER_S)
        if (reason := self.refused.get(product_id)) is not None:
            raise InstallRefused(reason)
        self.requested[user_id, product_id] = None


class MemoryAccounts:
    """Everybody is active but ``inactive``, unless ``known`` lists who exists."""

    def __init__(self, known: Collection[str] | None = None) -> None:
        self.known = known
        self.inactive: set[str] = set()
        self.down = False

    async def is_active(self, user_id: str) -> bool:
        if self.down:
            raise NeighbourUnavailable("account", RETRY_AFTER_S)
        return user_id not in self.inactive and (self.known is None or user_id in self.known)
