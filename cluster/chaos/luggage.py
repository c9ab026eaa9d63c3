"""What a user's devices recorded while nobody heard them, and bring when they are back: now and then twice (R-PT-6)."""

from typing import Any

from msgspec import Struct

from actors.domain.ids import SECOND, Micros, ProductId, format_id, format_time
from cluster.chaos.batch_bodies import Taken, offline_of
from cluster.chaos.user import User
from cluster.replay.service import Answer
from cluster.verdict.history import Brought, Told

AROUND_US = 120 * SECOND
MOST_AT_ONCE = 3
FULL = {"day_full", "too_fragmented"}
"""Reasons that a user of a long run meets who has played all day."""


class _Play(Struct, frozen=True, kw_only=True):
    """As a device recorded it. ``client_id`` is the device's own."""

    client_id: str
    product_id: ProductId
    began_at: Micros
    ended_at: Micros

    def sent(self) -> dict[str, Any]:
        attributes = {
            "product_id": format_id(self.product_id),
            "start_time": format_time(self.began_at),
            "end_time": format_time(self.ended_at),
        }
        return {"type": "offlineSession", "id": self.client_id, "attributes": attributes}

    def brought(self, credited_s: int) -> Brought:
        return Brought(
            product_id=self.product_id, started_at=self.began_at, ended_at=self.ended_at, credited_s=credited_s
        )


class Luggage:
    """Times lie among those of the user's own sessions, so that they overlap with all other play. They begin no earlier
    than the first of them, when the product was owned."""

    def __init__(self, user: User) -> None:
        self._user = user
        self._plays: list[_Play] = []

    async def bring(self, told: Told, until: Micros) -> None:
        """Some new sessions about this one's time, maybe beside some that were brought before. ``until`` is past."""
        user, random = self._user, self._user.random
        first = self._first(told)
        count = random.randint(1, MOST_AT_ONCE) if until - first >= SECOND else 0
        new = [self._record(told.product_id, first, until) for _ in range(count)]
        plays = [*new, *random.sample(self._plays, min(len(self._plays), random.randint(0, MOST_AT_ONCE)))]
        if not plays:
            return
        self._plays += new
        user.history.offline_wanted += len(new)
        answer = await self._send([play.sent() for play in plays])
        if answer.status != 200:
            user.refuse("offline play", answer)
        for play, outcome in zip(plays, offline_of(answer), strict=True):
            if isinstance(outcome, Taken):
                user.history.offline_taken(outcome.session_id, play.brought(outcome.credited_s))
            elif outcome not in FULL:
                user.history.wrong(f"an offline session was refused: {outcome}")

    async def _send(self, data: list[dict[str, Any]]) -> Answer:
        path = "/playtime/sessions/offline"
        pace = self._user.around.pace
        if self._user.happens(pace.keyed_share):
            return await self._user.post("offline", path, data, again_share=pace.rare_repeated_share)
        return await self._user.ask("offline", "POST", path, data)

    def _first(self, told: Told) -> Micros:
        sessions = self._user.history.sessions.values()
        return min(one.started_at for one in sessions if one.product_id == told.product_id)

    def _record(self, product_id: ProductId, first: Micros, until: Micros) -> _Play:
        """At least a second long; a third of them end when it is recorded, maybe in the middle of a live session."""
        random = self._user.random
        end = max(
            first + SECOND, until - random.choice((0, random.randint(0, AROUND_US), random.randint(0, AROUND_US)))
        )
        begin = max(first, end - random.randint(SECOND, AROUND_US))
        return _Play(
            client_id=self._user.new_uuid(), product_id=product_id, began_at=Micros(begin), ended_at=Micros(end)
        )
