"""Where copies are kept. Filled by ``persistence.redis.copies``; in memory by ``tests.memory.copies``."""

from collections.abc import Sequence
from typing import Protocol

from actors.copies.values import LibraryCopy, SessionCopy
from actors.domain.ids import UserId


class CopiesUnavailable(Exception):
    """They could not be written or read now, or not in time. What was to be written may have been."""


class CopyWriter(Protocol):
    async def write(self, libraries: Sequence[LibraryCopy], sessions: Sequence[SessionCopy]) -> None:
        """Each replaces what is there unless that has a higher version. Waits a short time at most.
        ``CopiesUnavailable``."""
        ...


class CopyReader(Protocol):
    async def read_library(self, user_id: UserId) -> LibraryCopy | None:
        """The newest that is there. Waits a short time at most. ``CopiesUnavailable``."""
        ...
