"""One process' connections to Redis: few, with short waits, and none at all while it does not answer."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from actors.backoff import Backoff
from persistence.services.breaker import Breaker

T = TypeVar("T")

BREAKER_FAILURES = 3
BREAKER_PAUSE_S = (0.5, 5.0)


@dataclass(frozen=True, kw_only=True)
class RedisSettings:
    """``timeout_s`` bounds connecting and each answer; ``connections`` are open at most."""

    host: str
    port: int
    password: str | None = field(default=None, repr=False)
    database: int = 0
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    timeout_s: float = 0.5
    connections: int = 4

    def open(self) -> Redis:
        """A client with a pool of its own; connects when it is first used."""
        arguments: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "password": self.password,
            "db": self.database,
            "socket_timeout": self.timeout_s,
            "socket_connect_timeout": self.timeout_s,
            "socket_keepalive": True,
            "retry": Retry(NoBackoff(), 0),
        }
        if self.tls:
            arguments |= {
                "ssl_ca_certs": None if self.ca_file is None else str(self.ca_file),
                "ssl_certfile": None if self.certificate_file is None else str(self.certificate_file),
                "ssl_keyfile": None if self.key_file is None else str(self.key_file),
            }
        pool = BlockingConnectionPool(
            connection_class=SSLConnection if self.tls else Connection,
            max_connections=self.connections,
            timeout=self.timeout_s,
            **arguments,
        )
        return Redis(connection_pool=pool)


class RedisAway(Exception):
    """It did not answer in time, or will not be asked for a while. What was asked may have been done."""


class RedisCalls:
    """Every command of this process goes through here: a Redis that does not answer is left alone for a while."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        first_s, cap_s = BREAKER_PAUSE_S
        self._breaker = Breaker(
            failures=BREAKER_FAILURES,
            pause=Backoff(first_s=first_s, cap_s=cap_s, random=random.random),
            now=time.monotonic,
        )
        self.failures = 0

    async def run(self, act: Callable[[Redis], Awaitable[T]], *, within_s: float | None = None) -> T:
        """``RedisAway`` for whatever goes wrong on the way; ``within_s`` for who has less time than a single answer may
        take."""
        if not self._breaker.admit():
            raise RedisAway("left alone for a while")
        try:
            async with asyncio.timeout(within_s):
                result = await act(self.client)
        except (RedisError, OSError, TimeoutError) as failed:
            self.failures += 1
            self._breaker.failed()
            raise RedisAway(repr(failed)) from failed
        except BaseException:
            self._breaker.abandoned()
            raise
        self._breaker.succeeded()
        return result

    async def close(self) -> None:
        await self.client.aclose()
