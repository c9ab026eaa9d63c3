"""``CheckGameAccessBatch`` where a door has more of them than it may ask at once (R-RPC-4)."""

import asyncio

import pytest
from library.v1 import library_query_service_pb2 as pb

from serve_app.rpc.callers import PLAINTEXT
from serve_app.rpc.codes import Code, RpcError
from serve_app.rpc.methods import Call
from serve_app.rpc.services.access_batch import AT_ONCE, AccessBatch
from tests.support.door import GAME, USER, until
from tests.support.rule_engine import RuleEngine


async def test_who_has_no_turn_in_the_callers_time_is_told_to_come_back() -> None:
    """Promise 6: waiting for a turn is part of the call's time; the others have theirs, and the turns come back."""
    engine = RuleEngine()
    engine.buy(USER, GAME)
    engine.at_once = False
    engine.hold = asyncio.Event()
    batch = AccessBatch(engine, command_timeout_s=60.0)
    asked = pb.CheckGameAccessBatchRequest(packed_checks=USER + GAME)
    patient = Call(PLAINTEXT, None, None, None)
    async with asyncio.timeout(10):
        others = [asyncio.create_task(batch.check(asked, patient)) for _ in range(AT_ONCE)]
        await until(lambda: len(engine.calls) == AT_ONCE)
        hasty = Call(PLAINTEXT, None, asyncio.get_running_loop().time() + 0.05, None)
        with pytest.raises(RpcError) as refused:
            await batch.check(asked, hasty)
        engine.hold.set()
        answers = [await other for other in [*others, asyncio.create_task(batch.check(asked, patient))]]
    assert (refused.value.code, refused.value.retry_after_s) == (Code.UNAVAILABLE, 1.0)
    assert [list(answer.packed_results) for answer in answers] == [[pb.ACCESS_GRANTED]] * (AT_ONCE + 1)
