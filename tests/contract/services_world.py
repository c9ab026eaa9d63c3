"""The three neighbours and their clients, in memory or real: what the contract of their ports is run against."""

from abc import ABC, abstractmethod
from uuid import UUID

from actors.catalog import Product
from actors.ports import Accounts, Catalog, Downloads
from tests.memory.services import MemoryAccounts, MemoryCatalog, MemoryDownloads

HALF_LIFE = str(UUID(int=1))
SUPER_GAME = str(UUID(int=2))
UNKNOWN = str(UUID(int=404))
NOT_FOR_SALE = str(UUID(int=7))
ACTIVE_USER = str(UUID(int=100))
BLOCKED_USER = str(UUID(int=101))
STRANGER = str(UUID(int=102))

LATER = 4_102_444_800_000
"""A time in the catalog's future: what it says then is newer than any answer of today."""
PRODUCTS = (
    Product(
        product_id=HALF_LIFE, title="Half-Life 3", cover_image_url="https://cdn.example.com/hl3.jpg", updated_at=10
    ),
    Product(product_id=SUPER_GAME, title="Супер Игра X", free_to_play=True, updated_at=10),
)


class ServicesWorld(ABC):
    """``HALF_LIFE`` and ``SUPER_GAME`` exist, ``NOT_FOR_SALE`` is refused by the Download Service; ``ACTIVE_USER`` is
    active, ``BLOCKED_USER`` is not, ``STRANGER`` does not exist."""

    catalog: Catalog
    downloads: Downloads
    accounts: Accounts

    @abstractmethod
    async def down(self) -> None:
        """None of the three answers from now on."""

    @abstractmethod
    async def update(self, product: Product) -> None:
        """The catalog has this state of a product and has said so; returns when the clients had the time to hear."""

    @abstractmethod
    async def installs(self) -> list[tuple[str, str]]:
        """(user, product) of every installation that the Download Service has begun."""


class MemoryServicesWorld(ServicesWorld):
    def __init__(self) -> None:
        self.catalog = self._catalog = MemoryCatalog(*PRODUCTS)
        self.downloads = self._downloads = MemoryDownloads()
        self.accounts = self._accounts = MemoryAccounts(known={ACTIVE_USER, BLOCKED_USER})
        self._downloads.refused[NOT_FOR_SALE] = "not available in this region"
        self._accounts.inactive.add(BLOCKED_USER)

    async def down(self) -> None:
        self._catalog.down = self._downloads.down = self._accounts.down = True

    async def update(self, product: Product) -> None:
        self._catalog.update(product)

    async def installs(self) -> list[tuple[str, str]]:
        return list(self._downloads.requested)
