"""When to look at which live session: a wheel of buckets, a second of service time each.

An entry is a hint, not a deadline: the look finds out whether the session is still live and silent, and sets the next
entry. So a heartbeat touches no timer, and a session costs one look a time-out.
"""

from actors.domain.ids import SECOND, Micros, SessionId, UserId


class DeadlineWheel:
    """Entries of (user, session) by service second. Unordered within a second."""

    def __init__(self) -> None:
        self._buckets: dict[int, list[tuple[UserId, SessionId]]] = {}
        self._next = 0

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self._buckets.values())

    def add(self, at: Micros, user_id: UserId, session_id: SessionId) -> None:
        """To be looked at once ``at`` has passed; a moment already handed out comes with the next one."""
        second = max(at // SECOND + 1, self._next)
        self._buckets.setdefault(second, []).append((user_id, session_id))

    def due(self, now: Micros, limit: int) -> list[tuple[UserId, SessionId]]:
        """Removes and returns entries whose second has passed: at most ``limit``, the rest at the next call."""
        reached = now // SECOND
        if not self._buckets:
            self._next = reached + 1
            return []
        due: list[tuple[UserId, SessionId]] = []
        for second in sorted(second for second in self._buckets if second <= reached):
            bucket = self._buckets.pop(second)
            room = limit - len(due)
            due.extend(bucket[:room])
            if len(bucket) > room:
                self._buckets[second] = bucket[room:]
                self._next = second
                return due
        self._next = reached + 1
        return due
