"""When to look at which live session: a wheel of buckets, a second of service time each.

An entry is a hint, not a deadline: the look finds out whether the session is still live and silent, and sets the next
entry. So a heartbeat touches no timer, and a session costs one look a time-out.
"""

from actors.domain.ids import SECOND, Micros, SessionId, UserId


class DeadlineWheel:
    """Entries of (user, session) by service second. Unordered within a second.

    A bucket is a flat list, user and session in turn: a pair of its own for each of a million sessions would be 72 MB,
    walked by every full garbage collection.
    """

    def __init__(self) -> None:
        self._buckets: dict[int, list[UserId | SessionId]] = {}
        self._next = 0

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self._buckets.values()) // 2

    def add(self, at: Micros, user_id: UserId, session_id: SessionId) -> None:
        """To be looked at once ``at`` has passed; a moment already handed out comes with the next one."""
        second = max(at // SECOND + 1, self._next)
        bucket = self._buckets.get(second)
        if bucket is None:
            self._buckets[second] = [user_id, session_id]
        else:
            bucket.append(user_id)
            bucket.append(session_id)

    def due(self, now: Micros, limit: int) -> list[tuple[UserId, SessionId]]:
        """Removes and returns entries whose second has passed: at most ``limit``, the rest at the next call."""
        reached = now // SECOND
        due: list[UserId | SessionId] = []
        for second in sorted(second for second in self._buckets if second <= reached):
            bucket = self._buckets[second]
            first = max(0, len(bucket) - 2 * limit + len(due))
            due += bucket[first:]
            if first:
                del bucket[first:]
                self._next = second
                break
            del self._buckets[second]
        else:
            self._next = reached + 1
        entries = iter(due)
        return [(UserId(user_id), SessionId(session_id)) for user_id, session_id in zip(entries, entries, strict=True)]
