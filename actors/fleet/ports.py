"""Who runs, and the cluster's flag. Filled by ``persistence.postgres.fleet_store``; in memory by
``tests.memory.fleet``."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

SILENT_S = 60.0
"""A process that did not say anything for so long does not run. One that was frozen for longer finds out by itself:
what it reads and hears then has a version that it does not know."""


class ProcessInfo(Struct, frozen=True, kw_only=True):
    """One process. ``name`` is its role (``host-0``, ``door-123``), ``node`` its node's address, ``release`` what it
    was started as, ``newest`` the newest version it reads and can write; ``process_id`` is 16 random bytes."""

    process_id: bytes
    name: str
    node: str
    release: str
    newest: int


class RunningProcess(Struct, frozen=True, kw_only=True):
    """``serving``: ready for work. ``silent_s``: since it was heard last."""

    info: ProcessInfo
    serving: bool
    silent_s: float


class FleetStore(Protocol):
    """Each call raises ``StoreUnavailable`` and may be repeated."""

    async def announce(self, info: ProcessInfo, *, serving: bool) -> int:
        """Notes that the process runs; the version that all may write. A flag that is being raised is waited for, so
        that whoever raises it has seen this process, or this process sees the new flag."""
        ...

    async def withdraw(self, process_id: bytes) -> None:
        """The process ends in order."""
        ...

    async def forget_silent(self) -> None:
        """Drops what processes that ended without a word have left, an hour after they were heard last."""
        ...

    async def processes(self) -> Sequence[RunningProcess]:
        """Those heard within ``SILENT_S``, the latest started first."""
        ...

    async def version(self) -> int:
        """The flag: the version that may be written."""
        ...

    async def raise_version(self, to: int) -> Sequence[RunningProcess]:
        """Raises the flag, unless processes run that do not know ``to``: then nothing changes, and it returns those."""
        ...
