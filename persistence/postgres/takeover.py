"""Taking a host over: the only way to become its writer (ARCHITECTURE.md, "Takeover"; promise 3).

    read the epoch -> end the holders of both locks -> take both -> raise the epoch -> only then read

The order is the proof. With both locks in hand the old writer's last transaction has ended, either way; with the epoch
raised its flushes fail their fence; and what is read after that, in new statements, misses nothing of it. Reading in
the statement or snapshot that waits for the lock would miss the last journal row.
"""

import asyncio
import random
from typing import Final

from actors.domain.ids import Epoch, HostId, Micros, Seq
from actors.ports import Claim, StoreUnavailable
from persistence.postgres import locks
from persistence.postgres.connection import DRIVER_ERRORS, Session, Timeouts, unavailable
from persistence.postgres.host_session import HostSession, end_holders

_ATTEMPTS: Final = 3
_MAX_PAUSE_S: Final = 0.3

_READ_EPOCH: Final = "select epoch from hosts where host_id = $1"

_RAISE_EPOCH: Final = """
update hosts set epoch = $2 + 1, address = $3 where host_id = $1 and epoch = $2 returning epoch
"""

_READ_PROGRESS: Final = """
select p.flushed_seq,
       (select max(seq) from journal where host_id = $1) as journal_seq,
       (extract(epoch from clock_timestamp()) * 1000000)::bigint as real_now
from host_progress p where p.host_id = $1
"""


async def take_over(
    *, journal: HostSession, flush: HostSession, host_id: HostId, address: str, timeouts: Timeouts
) -> Claim:
    """Both sessions open, locked and ready, the epoch raised, the address published.

    Two fresh processes may try at once; who loses the race for the epoch waits a random moment and begins again.
    Raises ``StoreUnavailable`` with both sessions closed, so that it can be tried again as a whole.
    """
    try:
        async with asyncio.timeout(timeouts.takeover_s):
            for _attempt in range(_ATTEMPTS):
                claim = await _attempt_take_over(journal, flush, host_id, address, timeouts)
                if claim is not None:
                    return claim
                journal.close()
                flush.close()
                await asyncio.sleep(random.uniform(0, _MAX_PAUSE_S))
            raise StoreUnavailable(f"host {host_id} was taken over by others, {_ATTEMPTS} times")
    except DRIVER_ERRORS as error:
        _close(journal, flush)
        raise unavailable(error) from error
    except BaseException:
        _close(journal, flush)
        raise


async def _attempt_take_over(
    journal: HostSession, flush: HostSession, host_id: HostId, address: str, timeouts: Timeouts
) -> Claim | None:
    session = await journal.open()
    await flush.open()
    former = await session.fetchval(_READ_EPOCH, host_id, timeout=timeouts.read_s)
    if former is None:
        raise StoreUnavailable(f"host {host_id} has no row yet; the supervisor makes it")
    await end_holders(session, [locks.JOURNAL, locks.FLUSH], host_id, timeouts.read_s)
    await journal.take_lock()
    await flush.take_lock()
    epoch = await session.fetchval(_RAISE_EPOCH, host_id, former, address, timeout=timeouts.commit_s)
    if epoch is None:
        return None
    await journal.make_ready()
    await flush.make_ready()
    return await _read_claim(session, host_id, Epoch(epoch), timeouts)


async def _read_claim(session: Session, host_id: HostId, epoch: Epoch, timeouts: Timeouts) -> Claim:
    row = await session.fetchrow(_READ_PROGRESS, host_id, timeout=timeouts.read_s)
    if row is None:
        raise StoreUnavailable(f"host {host_id} has no progress row yet; the supervisor makes it")
    flushed = row["flushed_seq"]
    return Claim(
        epoch=epoch,
        flushed_seq=Seq(flushed),
        next_seq=Seq(max(flushed, row["journal_seq"] or 0) + 1),
        real_now=Micros(row["real_now"]),
    )


def _close(*sessions: HostSession) -> None:
    for session in sessions:
        session.close()
