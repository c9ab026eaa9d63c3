"""The ports in memory: what the engine's unit tests and the simulator run on.

``MemoryDatabase`` is the server: tables, locks, sessions, its clock, and the faults a test plans. Each store object is
a client of it, one per process that a test pretends to have. One contract suite (``tests/contract``) holds these and
the Postgres implementations to the same promises. Only asyncio's primitives are used, so that a virtual-time loop may
run them.
"""

from tests.memory.cluster import MemoryClockStore, MemoryClusterMapReader, MemorySupervisorStore
from tests.memory.database import MemoryDatabase
from tests.memory.fleet import MemoryFleetStore
from tests.memory.history import MemorySessionHistory
from tests.memory.host_store import MemoryHostStore
from tests.memory.loader import MemoryEntityLoader
from tests.memory.services import MemoryAccounts, MemoryCatalog, MemoryDownloads
from tests.memory.store_clock import StoreClock
from tests.memory.store_faults import Fate, Operation, StoreFaults

__all__ = [
    "Fate",
    "MemoryAccounts",
    "MemoryCatalog",
    "MemoryClockStore",
    "MemoryClusterMapReader",
    "MemoryDatabase",
    "MemoryDownloads",
    "MemoryEntityLoader",
    "MemoryFleetStore",
    "MemoryHostStore",
    "MemorySessionHistory",
    "MemorySupervisorStore",
    "Operation",
    "StoreClock",
    "StoreFaults",
]
