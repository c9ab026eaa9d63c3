"""The demo user of development: an id, some games, a token. The same on every machine, so that examples work."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

import jwt
from aiokafka import AIOKafkaProducer

from cluster.dev import seeds
from cluster.errors import DemoError
from cluster.settings import Settings
from cluster.wiring.values import kafka_connection

USER_ID = uuid5(seeds.NAMESPACE, "user")
ORDER_ID = uuid5(seeds.NAMESPACE, "order")
GAMES = {title: seeds.product_id(title) for title in seeds.BOUGHT}
PURCHASED_AT = "2024-03-15T09:55:00Z"
TOKEN_LIFE_S = 7 * 86_400
SEED_TIMEOUT_S = 30.0
DEVELOPMENT_ONLY = "tokens can be made in development only; production takes them from its identity provider"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What a person needs to try the service."""

    user_id: UUID
    product_id: UUID
    token: str


def make_token(settings: Settings, user_id: UUID, life_s: int = TOKEN_LIFE_S, *, roles: Sequence[str] = ()) -> str:
    """A bearer token signed with the development secret; ``DemoError`` outside development."""
    secret = settings.auth.jwt_hs256_secret
    if not settings.is_development or secret is None:
        raise DemoError(DEVELOPMENT_ONLY)
    now = int(time.time())
    claims: dict[str, object] = {"sub": str(user_id), "iat": now, "exp": now + life_s}
    if roles:
        claims["roles"] = list(roles)
    if settings.auth.jwt_audience is not None:
        claims["aud"] = settings.auth.jwt_audience
    if settings.auth.jwt_issuer is not None:
        claims["iss"] = settings.auth.jwt_issuer
    return jwt.encode(claims, secret.get_secret_value(), algorithm="HS256")


def seed(settings: Settings, base_url: str) -> Demo:
    """Buys the demo user's games, as a payment service would, and waits until they are in the library.

    Once bought, buying again changes nothing. ``DemoError`` when they do not appear in time.
    """
    demo = Demo(user_id=USER_ID, product_id=GAMES["Half-Life 3"], token=make_token(settings, USER_ID))
    asyncio.run(_send_purchase(settings))
    deadline = time.monotonic() + SEED_TIMEOUT_S
    while _owned(base_url, demo.token) < len(GAMES):
        if time.monotonic() > deadline:
            raise DemoError(f"the demo user's purchase did not reach the library within {SEED_TIMEOUT_S:.0f} s")
        time.sleep(0.1)
    return demo


async def _send_purchase(settings: Settings) -> None:
    purchase = {
        "specversion": "1.0",
        "id": str(ORDER_ID),
        "source": "/payment-service",
        "type": "payment.purchase.completed.v1",
        "time": PURCHASED_AT,
        "datacontenttype": "application/json",
        "data": {
            "user_id": str(USER_ID),
            "order_id": str(ORDER_ID),
            "items": [{"product_id": str(game), "product_type": "game", "quantity": 1} for game in GAMES.values()],
            "purchase_timestamp": PURCHASED_AT,
        },
    }
    async with asyncio.timeout(SEED_TIMEOUT_S):
        producer = AIOKafkaProducer(**kafka_connection(settings).arguments(), acks="all")
        await producer.start()
        try:
            await producer.send_and_wait(
                settings.kafka.topic_purchases, json.dumps(purchase).encode(), key=str(USER_ID).encode()
            )
        finally:
            await producer.stop()


def _owned(base_url: str, token: str) -> int:
    request = urllib.request.Request(f"{base_url}/api/v1/library/items", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(json.load(answer)["meta"]["total_items"])
    except OSError:
        return 0
