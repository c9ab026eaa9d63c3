"""A question about many users, and its answers."""

import asyncio
from collections.abc import Sequence

from actors.domain.ids import Micros
from actors.many_access import Pair
from actors.router import Router


async def check_many(router: Router, pairs: Sequence[Pair], *, timeout_s: float) -> list[Micros]:
    answers: asyncio.Future[Sequence[Micros]] = asyncio.get_running_loop().create_future()
    router.check_many(pairs, answers.set_result, timeout_s=timeout_s)
    async with asyncio.timeout(timeout_s + 5):
        return list(await answers)
