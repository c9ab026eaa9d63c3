"""Loads the live sessions of many shards, a shard at a time: the longest part of a takeover of a busy host.

A shard is what one turn of the loop makes objects of, so that links and metrics are answered meanwhile; and while this
process does that for one shard, the store works on the next.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from actors.domain.ids import UserId
from actors.domain.model import LiveSession
from actors.ports import EntityLoader
from actors.territory import Shard

LANES = 2
"""Shards on their way at once. One is with the store while the other is here."""

Loaded = Callable[[Shard, Sequence[tuple[UserId, LiveSession]]], None]


async def load_shards(loader: EntityLoader, shards: Iterable[Shard], loaded: Loaded) -> None:
    """Calls ``loaded`` for each shard as it comes. ``StoreUnavailable`` when one could not be read: those that came
    before it were handed over."""
    waiting = iter(shards)

    async def lane() -> None:
        for shard in waiting:
            loaded(shard, await loader.live_sessions([shard.shard_id]))

    lanes = [asyncio.create_task(lane()) for _ in range(LANES)]
    try:
        await asyncio.gather(*lanes)
    finally:
        for task in lanes:
            task.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
