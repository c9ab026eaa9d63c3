"""The other services and the cache, as one process uses them."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from grpc import StatusCode, aio

from actors.backoff import Backoff
from actors.neighbours import NeighbourUnavailable
from actors.ports import Accounts, Downloads
from actors.telemetry.neighbours import NeighbourMetrics
from cluster.settings import Settings
from persistence.redis.connection import RedisCalls, RedisSettings
from persistence.redis.copies import RedisCopies
from persistence.redis.product_channel import ProductChannel
from persistence.redis.products import RedisProducts
from persistence.services.accounts import ABSENT, GrpcAccounts
from persistence.services.breaker import Breaker
from persistence.services.calling import Caller, CallPolicy
from persistence.services.catalog import CachedCatalog, NoCatalog
from persistence.services.catalog_client import CatalogClient
from persistence.services.catalog_memory import CatalogLimits
from persistence.services.catalog_ports import CatalogSource
from persistence.services.channel import ServiceTls, open_channel
from persistence.services.downloads import REFUSALS, GrpcDownloads
from persistence.services.tokens import GrpcTokenCheck

BREAKER_FAILURES = 5
BREAKER_PAUSE_S = (1.0, 15.0)


def redis_settings(settings: Settings) -> RedisSettings | None:
    """None without a cache."""
    redis = settings.redis
    if redis.address is None:
        return None
    host, _, port = redis.address.rpartition(":")
    return RedisSettings(
        host=host.strip("[]"),
        port=int(port),
        password=None if redis.password is None else redis.password.get_secret_value(),
        database=redis.db_library,
        tls=redis.use_tls,
        ca_file=redis.ca_file,
        certificate_file=redis.certificate_file,
        key_file=redis.key_file,
        timeout_s=redis.timeout_s,
        connections=redis.connections,
    )


class Neighbours:
    """Made on the loop it lives on; ``start``, then ``close``. A Catalog or Download Service without an
    address is one that is away; without an Account Service a valid token is enough.

    Copies have connections of their own: what waits for them waits for nothing else."""

    def __init__(self, settings: Settings, limits: CatalogLimits | None = None) -> None:
        services = settings.services
        self._tls = None
        if services.ca_file is not None:
            self._tls = ServiceTls(
                ca_file=services.ca_file,
                certificate_file=services.certificate_file,
                key_file=services.key_file,
            )
        self._channels: list[aio.Channel] = []
        self.metrics: list[NeighbourMetrics] = []
        redis = redis_settings(settings)
        self.redis = None if redis is None else RedisCalls(redis.open())
        self._copying = None if redis is None else RedisCalls(redis.open())
        self.copies = None if self._copying is None else RedisCopies(self._copying)
        self.products = None if self.redis is None else RedisProducts(self.redis)
        source: CatalogSource = self._made("catalog", services.catalog_grpc_addr, CatalogClient) or NoCatalog()
        self.catalog = CachedCatalog(source=source, shared=self.products, limits=limits or CatalogLimits())
        self.downloads: Downloads = (
            self._made("download", services.download_grpc_addr, GrpcDownloads, REFUSALS) or NoDownloads()
        )
        self.accounts: Accounts = (
            self._made("account", services.account_grpc_addr, GrpcAccounts, ABSENT) or NoAccounts()
        )
        self.token_check: GrpcTokenCheck | None = self._made("auth", services.auth_grpc_addr, GrpcTokenCheck)
        self.channel = None if redis is None else ProductChannel(redis, self.catalog.hear)

    def start(self) -> None:
        if self.channel is not None:
            self.channel.start()

    async def close(self) -> None:
        if self.channel is not None:
            await self.channel.close()
        await self.catalog.close()
        for channel in self._channels:
            await channel.close(None)
        for calls in (self.redis, self._copying):
            if calls is not None:
                await calls.close()

    def _made(
        self,
        service: str,
        address: str | None,
        make: Callable[[aio.Channel, Caller], Any],
        answers: frozenset[StatusCode] = frozenset(),
    ) -> Any:
        """The client of a service; None without an address."""
        if address is None:
            return None
        metrics = NeighbourMetrics(service)
        self.metrics.append(metrics)
        channel = open_channel(address, self._tls)
        self._channels.append(channel)
        first_s, cap_s = BREAKER_PAUSE_S
        breaker = Breaker(
            failures=BREAKER_FAILURES,
            pause=Backoff(first_s=first_s, cap_s=cap_s, random=random.random),
            now=asyncio.get_running_loop().time,
        )
        caller = Caller(
            service, policy=CallPolicy(), breaker=breaker, metrics=metrics, random=random.random, answers=answers
        )
        return make(channel, caller)


class NoDownloads:
    """Installations in a service that was given no Download Service."""

    async def request_install(self, *, user_id: str, product_id: str) -> None:
        raise NeighbourUnavailable("download", 60.0)


class NoAccounts:
    """Accounts in a service that was given no Account Service: a valid token is all there is to go by."""

    async def is_active(self, user_id: str) -> bool:
        return True
