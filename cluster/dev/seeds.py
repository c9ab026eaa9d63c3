"""What development begins with: products of the catalog, the same on every machine, so that examples work."""

from uuid import NAMESPACE_URL, UUID, uuid5

from actors.catalog import Product

NAMESPACE = uuid5(NAMESPACE_URL, "urn:library-service:demo")
CHANGED_AT_MS = 1_710_000_000_000
BOUGHT = ("Half-Life 3", "Супер Игра X", "Stardew Galaxy")
"""What the demo user buys."""
FREE = ("Танки и Туманы", "Arena of Idle Heroes")


def product_id(title: str) -> UUID:
    return uuid5(NAMESPACE, title)


def products() -> list[Product]:
    return [
        Product(
            product_id=str(product_id(title)),
            title=title,
            cover_image_url=f"https://cdn.example.com/covers/{product_id(title)}.jpg",
            free_to_play=title in FREE,
            updated_at=CHANGED_AT_MS,
        )
        for title in (*BOUGHT, *FREE)
    ]
