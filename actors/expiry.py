"""Ends sessions whose clients never return (R-PT-3).

The timers only look; the rule decides, as a command like any other, in its batch. While the host is deaf nobody is
looked at, and a process that stood still (stopped, or starved of CPU) gives every client its full time again.
"""

import asyncio
from collections.abc import Callable

from actors.clock import ServiceClock
from actors.domain.commands import ExpireSessions
from actors.domain.context import Policy
from actors.domain.ids import SECOND, Micros, UserId, shard_of
from actors.domain.model import LiveSession
from actors.domain.replies import Reply
from actors.domain.sessions import live_session
from actors.hearing import Hearing
from actors.mailbox import Mailbox, Pending
from actors.territory import Territory
from actors.timers import DeadlineWheel

LOOK_EVERY_S = 0.25
LOOKS_PER_TURN = 2_000
COMMAND_TIMEOUT_S = 10.0


class Expiry:
    """One wheel for all shards of a host; entries of shards that left are forgotten when their time comes."""

    def __init__(
        self,
        *,
        territory: Territory,
        mailbox: Mailbox,
        hearing: Hearing,
        clock: ServiceClock,
        policy: Policy,
        loop_time: Callable[[], float],
    ) -> None:
        self._territory = territory
        self._mailbox = mailbox
        self._hearing = hearing
        self._clock = clock
        self._policy = policy
        self._loop_time = loop_time
        self._wheel = DeadlineWheel()

    def watch(self, user_id: UserId, session: LiveSession) -> None:
        """The session is live from now on."""
        self._wheel.add(self._deadline(session, Micros(0)), user_id, session.session_id)

    async def run(self) -> None:
        looked = self._loop_time()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = self._loop_time()
            if self._clock.service_seconds(now - looked - LOOK_EVERY_S) * 10 > self._policy.session_timeout_s:
                self._hearing.stood_still()
            looked = now
            if not self._hearing.deaf and not self._mailbox.congested:
                self._look()

    def _look(self) -> None:
        now = self._clock.now()
        silent: dict[UserId, None] = {}
        for user_id, session_id in self._wheel.due(now, LOOKS_PER_TURN):
            shard = self._territory.get(shard_of(user_id))
            if shard is None:
                continue
            session = live_session(self._territory.user(shard, user_id), session_id)
            if session is None:
                continue
            deadline = self._deadline(session, max(self._hearing.since(now), shard.served_since))
            if deadline <= now:
                silent[user_id] = None
                deadline = Micros(now + self._policy.session_timeout_s * SECOND // 10)
            self._wheel.add(deadline, user_id, session_id)
        for user_id in silent:
            self._send(user_id)

    def _send(self, user_id: UserId) -> None:
        deadline = self._loop_time() + COMMAND_TIMEOUT_S
        self._mailbox.offer(
            Pending(
                user_id=user_id,
                shard_id=shard_of(user_id),
                command=ExpireSessions(),
                respond=_ignore,
                deadline=deadline,
            )
        )

    def _deadline(self, session: LiveSession, heard_since: int) -> Micros:
        heard = max(session.last_heartbeat_at, heard_since)
        return Micros(heard + self._policy.timeout_after(session.interval_s))


def _ignore(_reply: Reply) -> None:
    """Whether it was done shows when the wheel comes round: the entry is still there."""
