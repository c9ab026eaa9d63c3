"""Who owns how much, and what it is called: made up, the same in every run.

The size of a library is log-normal, as it is of real players: most own some dozens, a few own thousands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from actors.catalog import Product
from actors.domain.ids import ProductId, format_id
from tests.benchmarks.crowd import GAMES, named_id

SMALLEST, LARGEST = 5, 5_000
MEDIAN = 40
SIGMA = 1.25
"""Of the logarithm: a mean of about 85, and about one library of 3,000 has more than 3,000 items."""
MOST_ITEMS = 1_000_000
TITLES = 20_000
CHANGED_AT_MS = 1_710_000_000_000
_WORDS = (
    ("Dark", "Iron", "Silent", "Last", "Neon", "Frozen", "Broken", "Golden", "Wild", "Hollow", "Crimson", "Deep"),
    ("Kingdom", "Frontier", "Protocol", "Harvest", "Galaxy", "Racer", "Dungeon", "Empire", "Horizon", "Tactics"),
    ("Тёмный", "Последний", "Стальной", "Звёздный", "Дикий", "Северный", "Тихий", "Красный", "Забытый", "Новый"),
    ("Рубеж", "Город", "Поход", "Корабль", "Лес", "Горизонт", "Отряд", "Квест", "Остров", "Мир"),
)
SEARCHES = ("dark", "галакт", "kingdom", "лес", "iron harv", "звезд", "racer 1", "рубеж 2", "neon", "тихий ми")
"""Parts of words of both alphabets, one of them without its ё, one that finds nothing."""


@dataclass(frozen=True, kw_only=True)
class Collections:
    """``sizes``: items by user."""

    products: Sequence[ProductId]
    sizes: Sequence[int]

    def owned(self, number: int) -> Iterator[ProductId]:
        """Everybody has the first game of the benchmarks, and a piece of the catalog from anywhere."""
        yield GAMES[0]
        first = number * 7_919 % len(self.products)
        for step in range(self.sizes[number] - 1):
            yield self.products[(first + step) % len(self.products)]


def make_collections(users: int, random: Random) -> Collections:
    sizes = [min(LARGEST, max(SMALLEST, round(MEDIAN * random.lognormvariate(0, SIGMA)))) for _ in range(users)]
    sizes[0], sizes[-1] = LARGEST, SMALLEST
    total = sum(sizes)
    assert total <= MOST_ITEMS, f"{total:,} items are too many"
    return Collections(products=[ProductId(named_id(f"shelf {number}")) for number in range(TITLES)], sizes=sizes)


def titles(collections: Collections) -> list[Product]:
    """What the catalog says of them."""
    random = Random(20_240_315)
    named = [*collections.products, GAMES[0]]
    return [_product(product_id, number, random) for number, product_id in enumerate(named)]


def _product(product_id: ProductId, number: int, random: Random) -> Product:
    adjectives, nouns = _WORDS[:2] if number % 3 else _WORDS[2:]
    title = f"{random.choice(adjectives)} {random.choice(nouns)} {number % 97}"
    text = format_id(product_id)
    cover = f"https://cdn.example.com/covers/{text}.jpg"
    return Product(product_id=text, title=title, cover_image_url=cover, updated_at=CHANGED_AT_MS)
