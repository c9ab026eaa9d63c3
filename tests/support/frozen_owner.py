"""A process that owns host 0 and appends until it is deposed; run by test_postgres_store.py, which freezes it.

Writes every acknowledged seq to its standard output, then the name of the error that ended it.
"""

import asyncio
import sys

from actors.domain.ids import HostId, Seq
from actors.ports import StoreError
from persistence.postgres.connection import Timeouts
from persistence.postgres.host_store import PostgresHostStore
from persistence.postgres.pool import ConnectionPool


async def main(dsn: str) -> None:
    timeouts = Timeouts()
    reads = await ConnectionPool.open(dsn=dsn, application_name="frozen-owner", timeouts=timeouts)
    store = PostgresHostStore(dsn=dsn, host_id=HostId(0), reads=reads, timeouts=timeouts)
    claim = await store.take_over("frozen:1")
    seq = claim.next_seq
    try:
        while True:
            await store.append(seq, b"x" * 500)
            print(seq, flush=True)  # noqa: T201
            seq = Seq(seq + 1)
    except StoreError as error:
        print(type(error).__name__, flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
