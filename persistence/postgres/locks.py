"""Advisory locks: every class id this service uses, so that none is used twice. The object id is the host's, or 0."""

from typing import Final, Literal

LockClass = Literal[1, 2]

JOURNAL: Final = 1
"""Held by a host's journal session as long as it lives (ARCHITECTURE.md, "Two sessions, two locks")."""

FLUSH: Final = 2
"""Held by a host's flush session as long as it lives."""

RELAY: Final = 3
"""Held by the one outbox relay."""

MIGRATION: Final = 4
"""Held while migrations are applied."""

HOUSEKEEPING: Final = 5
"""Held while partitions are made and dropped."""
