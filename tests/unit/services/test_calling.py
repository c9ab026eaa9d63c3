"""How neighbours are called: bounded by the caller's time, again only where that may help."""

import asyncio

import pytest
from grpc import StatusCode
from grpc.aio import AioRpcError, Metadata

from actors.backoff import Backoff
from actors.neighbours import NeighbourUnavailable
from actors.telemetry.neighbours import NeighbourMetrics
from persistence.services.breaker import Breaker
from persistence.services.calling import Caller, CallPolicy, WrongAnswer
from tests.support.virtual_time import in_virtual_time

POLICY = CallPolicy(timeout_s=2.0, attempt_timeout_s=0.8, first_pause_s=0.1, max_pause_s=0.4)


class Service:
    """Fails as planned, then answers; ``times`` are when it was asked, ``given`` the time-outs it was given."""

    def __init__(self, *plan: StatusCode | Exception, takes_s: float = 0.0) -> None:
        self._plan = list(plan)
        self._takes_s = takes_s
        self.times: list[float] = []
        self.given: list[float] = []

    async def __call__(self, timeout_s: float) -> str:
        loop = asyncio.get_running_loop()
        self.times.append(loop.time())
        self.given.append(timeout_s)
        if self._takes_s > timeout_s:
            await asyncio.sleep(timeout_s)
            raise failure(StatusCode.DEADLINE_EXCEEDED)
        await asyncio.sleep(self._takes_s)
        if self._plan:
            planned = self._plan.pop(0)
            raise failure(planned) if isinstance(planned, StatusCode) else planned
        return "answer"


def failure(code: StatusCode) -> AioRpcError:
    return AioRpcError(code, Metadata(), Metadata(), details="planned")


def caller(jitter: float = 1.0, failures: int = 100) -> tuple[Caller, NeighbourMetrics]:
    metrics = NeighbourMetrics("catalog")
    now = asyncio.get_running_loop().time
    breaker = Breaker(failures=failures, pause=Backoff(first_s=1.0, cap_s=4.0, random=lambda: 1.0), now=now)
    answers = frozenset({StatusCode.NOT_FOUND})
    made = Caller("catalog", policy=POLICY, breaker=breaker, metrics=metrics, random=lambda: jitter, answers=answers)
    return made, metrics


def test_it_tries_again_with_growing_pauses() -> None:
    async def body() -> None:
        service = Service(StatusCode.UNAVAILABLE, StatusCode.ABORTED, StatusCode.UNAVAILABLE, StatusCode.UNAVAILABLE)
        made, metrics = caller()
        assert await made.call(service) == "answer"
        began = service.times[0]
        assert [round(at - began, 3) for at in service.times] == [0, 0.1, 0.3, 0.7, 1.1]
        assert metrics.attempts == 5

    in_virtual_time(body)


def test_the_jitter_is_full() -> None:
    """A pause may be nothing at all: those who failed together spread over all of it."""

    async def body() -> None:
        service = Service(StatusCode.UNAVAILABLE, StatusCode.UNAVAILABLE)
        made, _ = caller(jitter=0.0)
        await made.call(service)
        assert len(set(service.times)) == 1

    in_virtual_time(body)


def test_a_slow_service_costs_no_more_than_the_callers_time() -> None:
    """Each attempt is bounded, and the last one by what is left."""

    async def body() -> None:
        service = Service(takes_s=60.0)
        made, _ = caller()
        began = asyncio.get_running_loop().time()
        with pytest.raises(NeighbourUnavailable):
            await made.call(service)
        assert asyncio.get_running_loop().time() - began <= POLICY.timeout_s
        assert service.given == pytest.approx([0.8, 0.8, 0.1])

    in_virtual_time(body)


@pytest.mark.parametrize("trouble", [StatusCode.INTERNAL, StatusCode.UNIMPLEMENTED, WrongAnswer("nonsense")])
def test_what_trying_again_cannot_mend_is_not_tried_again(trouble: StatusCode | Exception) -> None:
    async def body() -> None:
        service = Service(trouble)
        made, metrics = caller()
        with pytest.raises(NeighbourUnavailable):
            await made.call(service)
        assert len(service.times) == 1
        assert metrics.failures.total() == 1

    in_virtual_time(body)


def test_an_answer_that_says_no_is_an_answer() -> None:
    async def body() -> None:
        service = Service(StatusCode.NOT_FOUND)
        made, metrics = caller(failures=1)
        with pytest.raises(AioRpcError):
            await made.call(service)
        assert await made.call(service) == "answer"
        assert not metrics.failures

    in_virtual_time(body)


def test_a_service_that_is_away_is_not_asked_again_for_a_while() -> None:
    async def body() -> None:
        service = Service(*[StatusCode.INTERNAL] * 3)
        made, metrics = caller(failures=3)
        for _ in range(5):
            with pytest.raises(NeighbourUnavailable) as caught:
                await made.call(service)
            assert caught.value.retry_after_s >= 1
        assert len(service.times) == 3
        assert metrics.refused == 2
        await asyncio.sleep(1.0)
        assert await made.call(service) == "answer"

    in_virtual_time(body)
