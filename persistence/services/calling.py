"""How any neighbour is called: within the caller's deadline, again where that may help, not at all while it is away.

Every call here may be made twice: what it changes, it changes once (each service's .proto says so).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from grpc import StatusCode
from grpc.aio import AioRpcError
from msgspec import Struct

from actors.neighbours import NeighbourUnavailable
from actors.telemetry.neighbours import NeighbourMetrics
from persistence.services.breaker import Breaker

T = TypeVar("T")

AGAIN = frozenset(
    {StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.RESOURCE_EXHAUSTED, StatusCode.ABORTED}
)
"""Codes after which another attempt may succeed."""


class CallPolicy(Struct, frozen=True, kw_only=True):
    """``attempt_timeout_s`` bounds one attempt, ``timeout_s`` all of them with the pauses between. Before attempt n + 1
    it waits a random time up to ``first_pause_s * 2**(n - 1)``, at most ``max_pause_s``."""

    timeout_s: float = 2.0
    attempt_timeout_s: float = 0.8
    first_pause_s: float = 0.05
    max_pause_s: float = 0.5


class WrongAnswer(Exception):
    """The service answered what its interface does not allow."""


class Caller:
    """One per service. ``answers`` are the status codes that are answers of that service, not failures: they are raised
    as they came. Everything else that goes wrong is ``NeighbourUnavailable``."""

    def __init__(
        self,
        service: str,
        *,
        policy: CallPolicy,
        breaker: Breaker,
        metrics: NeighbourMetrics,
        random: Callable[[], float],
        answers: frozenset[StatusCode] = frozenset(),
    ) -> None:
        self._service = service
        self._policy = policy
        self._breaker = breaker
        self._metrics = metrics
        self._random = random
        self._answers = answers

    async def call(self, attempt: Callable[[float], Awaitable[T]]) -> T:
        """``attempt`` is given its time-out in seconds and is made until it succeeds or the time is up."""
        now = asyncio.get_running_loop().time
        deadline = now() + self._policy.timeout_s
        number = 0
        while True:
            if not self._breaker.admit():
                self._metrics.refused += 1
                raise NeighbourUnavailable(self._service, max(self._breaker.retry_after_s(), 1.0))
            number += 1
            self._metrics.attempts += 1
            again, error = False, ""
            try:
                result = await attempt(min(self._policy.attempt_timeout_s, deadline - now()))
            except AioRpcError as failure:
                if failure.code() in self._answers:
                    self._breaker.succeeded()
                    raise
                again, error = failure.code() in AGAIN, failure.code().name
            except WrongAnswer as wrong:
                error = f"wrong answer: {wrong}"
            except BaseException:
                self._breaker.abandoned()
                raise
            else:
                self._breaker.succeeded()
                return result
            self._breaker.failed()
            self._metrics.failed(error)
            pause = self._pause_s(number)
            if not again or now() + pause >= deadline:
                raise NeighbourUnavailable(self._service, max(self._breaker.retry_after_s(), 1.0))
            await asyncio.sleep(pause)

    def _pause_s(self, number: int) -> float:
        """Full jitter: callers that failed together do not come back together."""
        return self._random() * min(self._policy.max_pause_s, self._policy.first_pause_s * 2.0 ** (number - 1))
