"""Which shards belong on which host, and which hosts on which node: pure plans, with as few moves as can be."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from msgspec import Struct

from actors.domain.ids import HostId, ShardId

Thing = TypeVar("Thing", ShardId, HostId)
Place = TypeVar("Place", HostId, str)


class Move(Struct, frozen=True):
    shard_id: ShardId
    from_host: HostId
    to_host: HostId


def plan_moves(owners: Mapping[ShardId, HostId], wanted: Sequence[HostId]) -> list[Move]:
    """Moves after which each wanted host owns ``len(owners) / len(wanted)`` shards, rounded up or down, and no other
    host any. Shards stay where they are when they may. An empty ``wanted`` moves nothing."""
    planned = _evenly(owners, wanted)
    return [Move(shard_id, owners[shard_id], host) for shard_id, host in planned.items() if owners[shard_id] != host]


def plan_nodes(placed: Mapping[HostId, str | None], nodes: Sequence[str]) -> dict[HostId, str]:
    """A node for each host, so that hosts are spread evenly and as many as may stay where they are (None: nowhere
    yet). Empty without nodes."""
    return _evenly({host: node or "" for host, node in placed.items()}, nodes)


def _evenly(placed: Mapping[Thing, Place], places: Sequence[Place]) -> dict[Thing, Place]:
    """A place for each thing: those that move come last."""
    if not places:
        return {}
    there: dict[Place, list[Thing]] = {place: [] for place in places}
    homeless: list[Thing] = []
    for thing in sorted(placed):
        place = placed[thing]
        if place in there:
            there[place].append(thing)
        else:
            homeless.append(thing)
    share, extra = divmod(len(placed), len(places))
    fullest_first = sorted(places, key=lambda place: -len(there[place]))
    quota = {place: share + (rank < extra) for rank, place in enumerate(fullest_first)}
    planned: dict[Thing, Place] = {}
    for place in places:
        planned.update(dict.fromkeys(there[place][: quota[place]], place))
        homeless.extend(there[place][quota[place] :])
    takers = (place for place in places for _ in range(quota[place] - min(len(there[place]), quota[place])))
    planned.update(zip(homeless, takers, strict=True))
    return planned
