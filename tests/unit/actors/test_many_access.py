"""Many users asked about at once: by the same fence as every read (R-RPC-4, promise 3)."""

import asyncio

from actors.domain.commands import AddPurchase
from actors.domain.context import Policy
from actors.domain.ids import HostId, Micros, OrderId, UserId
from actors.domain.replies import UNKNOWN_ACCESS, Done
from actors.engine import HostOptions
from actors.host import Host
from actors.link.handshake import Credentials
from actors.router import Router, RouterLimits
from tests.memory import (
    Fate,
    MemoryCatalog,
    MemoryClockStore,
    MemoryClusterMapReader,
    MemoryDatabase,
    MemoryEntityLoader,
    MemoryHostStore,
    MemorySupervisorStore,
    Operation,
)
from tests.support.actor import GAME, an_id
from tests.support.asking_many import check_many

HOST = HostId(0)
USER = UserId(an_id(1))
PURCHASED = Micros(1_600_000_000_000_000)
SECRET = Credentials(cluster="test", secret=b"s" * 32)


async def test_the_answer_waits_for_a_fence_check_that_began_after_the_question() -> None:
    """A host that another process has taken over would otherwise go on answering from its memory."""
    database = MemoryDatabase()
    held, checking = asyncio.Event(), asyncio.Event()

    async def hold_fence_checks(operation: Operation) -> Fate:
        if operation.kind == "check_fence":
            checking.set()
            await held.wait()
        return Fate.PROCEED

    supervisor = MemorySupervisorStore(database)
    await supervisor.prepare(1)
    await supervisor.ensure_hosts([HOST])
    host = Host(
        options=HostOptions(host_id=HOST, listen_address="127.0.0.1", policy=Policy()),
        credentials=SECRET,
        store=MemoryHostStore(database, HOST),
        loader=MemoryEntityLoader(database),
        clock_store=MemoryClockStore(database),
        catalog=MemoryCatalog(),
    )
    router = Router(reader=MemoryClusterMapReader(database), credentials=SECRET, role="door", limits=RouterLimits())
    running = asyncio.create_task(host.run())
    router.start()
    try:
        purchase = AddPurchase(OrderId(an_id(2)), (GAME,), PURCHASED)
        assert await router.call(USER, purchase, timeout_s=10) == Done()
        database.faults.hook = hold_fence_checks

        asked = asyncio.create_task(check_many(router, [(USER, GAME)], timeout_s=10))
        async with asyncio.timeout(10):
            await checking.wait()
        impatient = await check_many(router, [(USER, GAME)], timeout_s=0.05)

        assert impatient == [UNKNOWN_ACCESS]
        assert not asked.done()
        held.set()
        assert await asked == [PURCHASED]
    finally:
        held.set()
        await router.close()
        host.stop()
        await running
