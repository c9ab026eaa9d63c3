"""Which shards a host takes for its own, while it gives some away."""

import asyncio
from collections.abc import Mapping

from actors.clock import ServiceClock
from actors.domain.commands import ListItems
from actors.domain.context import Policy
from actors.domain.ids import HostId, Micros, ShardId, Term, UserId, shard_of
from actors.domain.replies import Reply, WrongShard
from actors.expiry import Expiry
from actors.hearing import Hearing
from actors.mailbox import Mailbox, MailboxLimits, Pending
from actors.ownership import Ownership
from actors.ports import ClockOrigin, ShardOwner
from actors.territory import Shard, Territory
from tests.memory import MemoryDatabase, MemoryEntityLoader, MemoryHostStore
from tests.support.actor import an_id

MINE, OTHER = HostId(0), HostId(1)
USER = UserId(an_id(7))
SHARD = shard_of(USER)


class SlowReader(MemoryHostStore):
    """Reads ``shards`` as of the moment it is asked, and says so when it is let."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database, MINE)
        self.read, self.answer = asyncio.Event(), asyncio.Event()
        self.owner = ShardOwner(SHARD, MINE, Term(5))

    async def read_shards(self) -> Mapping[ShardId, ShardOwner]:
        owners = {SHARD: self.owner}
        self.read.set()
        await self.answer.wait()
        return owners


def a_call(replies: list[Reply]) -> Pending:
    """A command of somebody who knows a newer term."""
    return Pending(
        user_id=USER,
        shard_id=SHARD,
        command=ListItems(),
        respond=replies.append,
        deadline=float("inf"),
        term=Term(6),
    )


async def test_a_reading_from_before_a_gift_does_not_bring_the_shard_back() -> None:
    """Promise 3: the host would serve beside the new owner."""
    database = MemoryDatabase()
    store, territory, mailbox = SlowReader(database), Territory(), Mailbox(MailboxLimits())
    loop_time = asyncio.get_running_loop().time
    clock = ServiceClock(ClockOrigin(Micros(0), Micros(0), 1.0), Micros(0), loop_time)
    hearing = Hearing(clock)
    expiry = Expiry(
        territory=territory, mailbox=mailbox, hearing=hearing, clock=clock, policy=Policy(), loop_time=loop_time
    )
    ownership = Ownership(
        host_id=MINE,
        store=store,
        loader=MemoryEntityLoader(database),
        territory=territory,
        mailbox=mailbox,
        expiry=expiry,
        clock=clock,
        ask_for_flush=lambda: None,
    )
    shard = Shard(SHARD, Term(5))
    territory.add(shard)
    ownership.begin_serving(shard)
    reading = asyncio.create_task(ownership.run())
    async with asyncio.timeout(10):
        replies: list[Reply] = []
        call = a_call(replies)
        mailbox.offer(call)
        mailbox.cut(1)
        ownership.park(call)
        await store.read.wait()

        ownership.give([SHARD], OTHER)
        gifts = ownership.take_gifts()
        store.owner = ShardOwner(SHARD, OTHER, Term(6))
        ownership.gifts_settled(gifts, frozenset({SHARD}))
        store.answer.set()
        while not replies:  # noqa: ASYNC110 - a list has no event
            await asyncio.sleep(0.01)
    reading.cancel()
    assert territory.get(SHARD) is None
    assert replies == [WrongShard(Term(6))], "answered by a reading from after the gift"
