"""One batch, decided: every command in order, on an overlay over the committed state.

A command sees those before it in its batch. Nothing of this is visible to anyone until the commit is done; dropping it
is forgetting the object (promise 4). Second of three: ``mailbox`` cuts the batch, this decides it, ``commit_loop``
commits and answers it.
"""

import logging
from collections.abc import Callable
from uuid import uuid4

from msgspec.structs import replace

from actors.clock import ServiceClock
from actors.domain.access import PAIR_BYTES, check_pairs
from actors.domain.commands import CheckManyAccess, Heartbeat, ListItems
from actors.domain.context import Context, Policy, Titles
from actors.domain.ids import Micros, UserId
from actors.domain.model import NotLoaded, User
from actors.domain.replies import UNKNOWN_ACCESS, Failed, ManyAccess, Reply, Unavailable
from actors.domain.user import decide_once, evolve
from actors.formats import Entry
from actors.hearing import Hearing
from actors.loading import Loading
from actors.mailbox import Mailbox, Pending
from actors.ownership import Ownership
from actors.residents import Residents
from actors.territory import Shard, Territory
from actors.write_gate import WriteGate

log = logging.getLogger(__name__)


class DecidedBatch:
    """What a batch would change and answer, once it is committed; decided at ``now`` (service time)."""

    __slots__ = ("answers", "entries", "now", "overlay")

    def __init__(self, now: Micros) -> None:
        self.now = now
        self.overlay: dict[UserId, tuple[Shard, User]] = {}
        self.entries: list[Entry] = []
        self.answers: list[tuple[Pending, Reply]] = []


class Decider:
    """Decides batches. ``pace`` tells the heartbeat interval to give clients now, in seconds of service time;
    ``was_read`` is told of users who look at their library."""

    def __init__(
        self,
        *,
        territory: Territory,
        mailbox: Mailbox,
        loading: Loading,
        ownership: Ownership,
        residents: Residents,
        hearing: Hearing,
        gate: WriteGate,
        clock: ServiceClock,
        policy: Policy,
        titles: Titles,
        pace: Callable[[], int],
        new_id: Callable[[], bytes],
        loop_time: Callable[[], float],
        was_read: Callable[[UserId], None],
    ) -> None:
        self._territory = territory
        self._mailbox = mailbox
        self._loading = loading
        self._ownership = ownership
        self._residents = residents
        self._hearing = hearing
        self._gate = gate
        self._clock = clock
        self._policy = policy
        self._titles = titles
        self._pace = pace
        self._new_id = new_id
        self._loop_time = loop_time
        self._was_read = was_read

    def decide(self, commands: list[Pending]) -> DecidedBatch:
        """Decides what can be decided now. Commands that cannot go to where they wait: a load, a leaving shard."""
        common = self._context()
        batch = DecidedBatch(common.now)
        now = self._loop_time()
        mailbox, territory = self._mailbox, self._territory
        for pending in commands:
            if pending.deadline < now:
                batch.answers.append((pending, Unavailable("its time was over before it was decided")))
                continue
            if type(pending.command) is CheckManyAccess:
                batch.answers.append((pending, self._check_many(pending.command, now)))
                continue
            if mailbox.is_blocked(pending.user_id):
                mailbox.block(pending)
                continue
            shard = territory.get(pending.shard_id)
            if shard is None or not shard.serving or pending.term > shard.term:
                self._ownership.park(pending)
                continue
            context = common
            if shard.served_since > common.heard_since:
                context = replace(common, heard_since=shard.served_since)
            self._decide_one(pending, shard, context, batch, now)
        return batch

    def _decide_one(self, pending: Pending, shard: Shard, context: Context, batch: DecidedBatch, now: float) -> None:
        user_id, command = pending.user_id, pending.command
        seen = batch.overlay.get(user_id)
        user = seen[1] if seen is not None else self._territory.user(shard, user_id)
        if user.last_event_at > context.now:
            context = replace(context, now=user.last_event_at)
        if type(command) is not Heartbeat:
            self._residents.touch(user_id, shard.shard_id, now)
            if type(command) is ListItems:
                self._was_read(user_id)
        try:
            events, answer = decide_once(user, command, pending.command_id, context)
            for event in events:
                user = evolve(user, event)
        except NotLoaded as missing:
            self._residents.touch(user_id, shard.shard_id, now)
            self._mailbox.block(pending)
            self._loading.request(shard, user_id, missing)
            return
        except Exception:  # noqa: BLE001 - a bug in a rule fails that one command, with an incident, and nothing else
            batch.answers.append((pending, self._incident(pending)))
            return
        if events:
            if (refusal := self._gate.refusal) is not None:
                batch.answers.append((pending, refusal))
                return
            batch.overlay[user_id] = (shard, user)
            batch.entries.append((user_id, events))
        batch.answers.append((pending, answer))

    def _check_many(self, command: CheckManyAccess, now: float) -> ManyAccess:
        """Of committed state, like any read that arrived before the rest of its batch."""
        since: list[Micros] = []
        for shard_id, term, pairs in command.shards:
            shard = self._territory.get(shard_id)
            if shard is None or not shard.serving or term > shard.term:
                since += [UNKNOWN_ACCESS] * (len(pairs) // PAIR_BYTES)
                continue
            for user_id in check_pairs(shard.users, pairs, since):
                self._residents.touch(user_id, shard_id, now)
        return ManyAccess(since)

    def _context(self) -> Context:
        """What all shards of a batch share; one that is served for less long than the host hears has its own."""
        real_now = self._clock.real_now()
        now = self._clock.at(real_now)
        return Context(now, real_now, self._hearing.since(now), self._pace(), self._policy, self._new_id, self._titles)

    @staticmethod
    def _incident(pending: Pending) -> Failed:
        incident = str(uuid4())
        log.exception(
            "a rule raised",
            extra={"incident": incident, "command": type(pending.command).__name__, "user_id": pending.user_id.hex()},
        )
        return Failed(incident)
