"""The shards a host owns, each with the committed state of its users.

Committed state changes in one place, ``CommitLoop``, between two batches. What is read here between two awaits is
therefore always the state after some commit (promise 4).
"""

from collections.abc import Iterator

from actors.domain.ids import Micros, ShardId, Term, UserId
from actors.domain.model import NOBODY, User
from actors.lifecycle import Lifecycle, ShardState, shard_lifecycle
from actors.mailbox import Pending


class Shard:
    """One owned shard. ``served_since`` (service time): from here on its clients' silence counts."""

    __slots__ = ("lifecycle", "parked", "served_since", "shard_id", "term", "users")

    def __init__(self, shard_id: ShardId, term: Term) -> None:
        self.shard_id = shard_id
        self.term = term
        self.lifecycle: Lifecycle[ShardState] = shard_lifecycle()
        self.served_since = Micros(0)
        self.users: dict[UserId, User] = {}
        self.parked: list[Pending] = []

    @property
    def serving(self) -> bool:
        return self.lifecycle.state is ShardState.SERVING


class Territory:
    """All shards of a host by id. ``live_sessions`` is kept by whoever starts, ends or loads one."""

    def __init__(self) -> None:
        self.live_sessions = 0
        self._shards: dict[ShardId, Shard] = {}

    def __iter__(self) -> Iterator[Shard]:
        return iter(self._shards.values())

    def __len__(self) -> int:
        return len(self._shards)

    def get(self, shard_id: ShardId) -> Shard | None:
        return self._shards.get(shard_id)

    def add(self, shard: Shard) -> None:
        self._shards[shard.shard_id] = shard

    def forget(self, shard: Shard) -> None:
        """Drops the shard with everything in it. Only after the flush that gave it away has committed."""
        shard.lifecycle.move(ShardState.FORGOTTEN)
        self.live_sessions -= sum(len(user.live) for user in shard.users.values())
        del self._shards[shard.shard_id]

    def user(self, shard: Shard, user_id: UserId) -> User:
        return shard.users.get(user_id, NOBODY)

    def serving_count(self) -> int:
        return sum(shard.serving for shard in self)
