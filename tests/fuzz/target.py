"""A running service to be fuzzed, with a user who owns something."""

import asyncio
from dataclasses import dataclass
from uuid import UUID, uuid4

from tests.support import events
from tests.support.running_service import RunningService

PRODUCTS_VARIABLE = "FUZZ_PRODUCTS"
EXAMPLE_PRODUCT = UUID("5f1b0a52-3c41-4c0e-9a57-0d8f3f6f2f10")
"""The one of the document's examples."""
SEED_TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Target:
    url: str
    token: str
    products: tuple[UUID, ...]


def target_of(service: RunningService) -> Target:
    """A user of this run alone, with eight products; waits until they are in the library."""
    user_id, products = uuid4(), (EXAMPLE_PRODUCT, *(uuid4() for _ in range(7)))
    brokers = service.stack.environment()["KAFKA_BROKERS"]
    asyncio.run(events.send_purchase(brokers, user_id, products))
    token = service.token(user_id)

    def owned() -> int:
        answer = service.get("/api/v1/library/items", token)
        return int(answer.json()["meta"]["total_items"]) if answer.status == 200 else 0

    service.until(lambda: owned() == len(products), SEED_TIMEOUT_S)
    return Target(url=service.url, token=token, products=products)
