"""Who is in memory beyond live sessions, and who leaves when it is idle or crowded.

Live sessions always stay. Libraries, command ids and ended sessions leave when their user is clean and was not asked
for a while, or when too many are resident (least recently used first).
"""

from itertools import islice

from msgspec.structs import replace

from actors.domain.ids import ShardId, UserId
from actors.domain.model import NOBODY
from actors.flush_rows import FlushRows
from actors.mailbox import Mailbox
from actors.territory import Territory

SWEEP = 1_000
"""At most so many users are looked at in one go, so that no sweep stalls the host."""


class Residents:
    """Recency by the loop's time, in seconds."""

    def __init__(self, territory: Territory, rows: FlushRows, mailbox: Mailbox, *, idle_s: float, limit: int) -> None:
        self._territory = territory
        self._rows = rows
        self._mailbox = mailbox
        self._idle_s = idle_s
        self._limit = limit
        self._touched: dict[UserId, tuple[float, ShardId]] = {}

    def __len__(self) -> int:
        return len(self._touched)

    @property
    def crowded(self) -> bool:
        """More are resident than may be: sweep again soon, however fast they come."""
        return len(self._touched) > self._limit

    def touch(self, user_id: UserId, shard_id: ShardId, now: float) -> None:
        self._touched.pop(user_id, None)
        self._touched[user_id] = (now, shard_id)

    def sweep(self, now: float) -> int:
        """Evicts who may go; how many did. At a batch boundary only."""
        evicted = 0
        for user_id in list(islice(self._touched, SWEEP)):
            touched, shard_id = self._touched[user_id]
            if not self.crowded and now - touched < self._idle_s:
                break
            if self._rows.is_dirty(user_id) or self._mailbox.is_blocked(user_id):
                self.touch(user_id, shard_id, max(touched, now - self._idle_s))
                continue
            del self._touched[user_id]
            evicted += self._evict(user_id, shard_id)
        return evicted

    def _evict(self, user_id: UserId, shard_id: ShardId) -> bool:
        shard = self._territory.get(shard_id)
        if shard is None or (user := shard.users.get(user_id)) is None:
            return False
        if user.live:
            shard.users[user_id] = replace(user, library=None, ended=NOBODY.ended, commands=None, past=None)
        else:
            del shard.users[user_id]
        return True
