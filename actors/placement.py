"""Which shards should move so that the wanted hosts own equal shares: a pure plan, with as few moves as can be."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from actors.domain.ids import HostId, ShardId


class Move(Struct, frozen=True):
    shard_id: ShardId
    from_host: HostId
    to_host: HostId


def plan_moves(owners: Mapping[ShardId, HostId], wanted: Sequence[HostId]) -> list[Move]:
    """Moves after which each wanted host owns ``len(owners) / len(wanted)`` shards, rounded up or down, and no other
    host any. Shards stay where they are when they may. An empty ``wanted`` moves nothing."""
    if not wanted:
        return []
    owned: dict[HostId, list[ShardId]] = {host: [] for host in wanted}
    homeless: list[tuple[ShardId, HostId]] = []
    for shard_id in sorted(owners):
        host = owners[shard_id]
        if host in owned:
            owned[host].append(shard_id)
        else:
            homeless.append((shard_id, host))
    share, extra = divmod(len(owners), len(wanted))
    fullest_first = sorted(wanted, key=lambda host: (-len(owned[host]), host))
    quota = {host: share + (rank < extra) for rank, host in enumerate(fullest_first)}
    for host in wanted:
        homeless.extend((shard_id, host) for shard_id in owned[host][quota[host] :])
        del owned[host][quota[host] :]
    moves = []
    takers = (host for host in wanted for _ in range(quota[host] - len(owned[host])))
    for (shard_id, from_host), to_host in zip(homeless, takers, strict=True):
        moves.append(Move(shard_id, from_host, to_host))
    return moves
