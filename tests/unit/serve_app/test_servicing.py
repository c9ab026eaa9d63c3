"""What stands around a gRPC handler, whichever server brings the call."""

import time
from collections.abc import AsyncIterator

import pytest
from grpc_health.v1 import health_pb2

from actors.telemetry.logs import LogBudget
from serve_app.auth import Authenticator
from serve_app.rpc.callers import Peers
from serve_app.rpc.codes import Code, RpcError
from serve_app.rpc.methods import table
from serve_app.rpc.metrics import RpcMetrics
from serve_app.rpc.services.health import Health, health_methods
from serve_app.rpc.servicing import Arrival, Servicing
from serve_app.settings import AuthSettings
from tests.support.door import SECRET


async def test_a_stream_that_comes_while_streams_are_sent_away_is_sent_away_too() -> None:
    """R-NFR-4: a request that the server had already dispatched would outlive the door's grace."""
    metrics = RpcMetrics()
    servicing = Servicing(
        table(health_methods(Health(lambda: True))),
        peers=Peers({}, plaintext=True),
        authenticator=Authenticator(
            AuthSettings(hs256_secret=SECRET), keys=None, real_now=time.time, count_failure=lambda reason: None
        ),
        metrics=metrics,
        budget=LogBudget(lines_per_second=1),
    )
    watch = servicing.methods["/grpc.health.v1.Health/Watch"]

    async def asked() -> AsyncIterator[bytes]:
        yield health_pb2.HealthCheckRequest().SerializeToString()

    servicing.end_streams()
    with pytest.raises(RpcError) as sent_away:
        await anext(servicing.stream(watch, asked(), Arrival(None)))
    assert (sent_away.value.code, sent_away.value.retry_after_s) == (Code.UNAVAILABLE, 1.0)
    assert metrics.in_flight == 0
