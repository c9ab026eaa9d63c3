"""Who has what, of many users: one question to each host instead of one to each user's actor (R-RPC-4).

A host answers from what it has in memory, by the same fence as every read; a pair that it cannot answer - the user is
not in memory, the shard on its way - stays unknown, and its user has to be asked alone.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from actors.domain.access import ID_BYTES
from actors.domain.commands import CheckManyAccess
from actors.domain.ids import HostId, Micros, ProductId, ShardId, UserId, shard_of
from actors.domain.replies import UNKNOWN_ACCESS, ManyAccess, Reply
from actors.link.client import DoorLink
from actors.ports import ShardOwner

Pair = tuple[UserId, ProductId]


class _Question:
    """To one host: its pairs by shard, and where in the whole their answers belong."""

    def __init__(self) -> None:
        self.shards: dict[ShardId, tuple[ShardOwner, list[bytes], list[int]]] = {}

    def command(self) -> CheckManyAccess:
        return CheckManyAccess(
            tuple([(owner.shard_id, owner.term, b"".join(pairs)) for owner, pairs, _ in self.shards.values()])
        )

    def positions(self) -> list[int]:
        return [position for _, _, positions in self.shards.values() for position in positions]


OnAnswers = Callable[[Sequence[Micros]], None]
"""Gets what ``ManyAccess`` says of each pair, once. Must not raise."""


def ask_hosts(
    pairs: Sequence[Pair],
    on_answers: OnAnswers,
    owners: Mapping[ShardId, ShardOwner],
    link_of: Callable[[HostId], DoorLink | None],
    *,
    timeout_s: float,
    trace: str | None,
) -> None:
    """``on_answers`` is called at once or later, soon after ``timeout_s`` at the latest (``DoorLink.ask``); what no
    host has answered by then is ``UNKNOWN_ACCESS``."""
    since = [UNKNOWN_ACCESS] * len(pairs)
    asked = [(link, question) for host_id, question in _by_host(pairs, owners).items() if (link := link_of(host_id))]
    missing = len(asked)

    def settle(positions: list[int], reply: Reply | None) -> None:
        nonlocal missing
        if type(reply) is ManyAccess:
            for position, at in zip(positions, reply.since, strict=True):
                since[position] = at
        missing -= 1
        if not missing:
            on_answers(since)

    if not asked:
        on_answers(since)
    deadline = asyncio.get_running_loop().time() + timeout_s
    for link, question in asked:
        owner, some, _ = next(iter(question.shards.values()))
        user_id = UserId(some[0][:ID_BYTES])
        settled = partial(settle, question.positions())
        link.ask(user_id, question.command(), settled, term=owner.term, deadline=deadline, trace=trace)


def _by_host(pairs: Sequence[Pair], owners: Mapping[ShardId, ShardOwner]) -> dict[HostId, _Question]:
    questions: dict[HostId, _Question] = {}
    places: dict[ShardId, tuple[ShardOwner, list[bytes], list[int]]] = {}
    for position, (user_id, product_id) in enumerate(pairs):
        shard_id = shard_of(user_id)
        place = places.get(shard_id)
        if place is None:
            owner = owners.get(shard_id)
            if owner is None:
                continue
            place = places[shard_id] = (owner, [], [])
            questions.setdefault(owner.host_id, _Question()).shards[shard_id] = place
        place[1].append(user_id + product_id)
        place[2].append(position)
    return questions
