"""How fast one user may ask (R-SEC-4): more is a 429 with ``Retry-After``.

A token bucket is one number a user: the moment at which it will be full again (GCRA). A number that lies in the past
says nothing, so that two generations of a map are enough: the older one is dropped when all of it is past. When more
users come at once than a generation may hold, it is dropped early, and some users get a full bucket too soon.

Each door counts for itself. Heartbeats have a bucket of their own, which one that beats in time cannot empty: it is
filled ten times as fast as all sessions of a user should beat. Where one session beats so fast that it empties it, the
others go on: those that wait a tenth of the interval are let through all the same.
"""

from collections.abc import Callable
from math import ceil
from typing import Literal

from actors.domain.ids import UserId
from serve_app.errors import ApiError
from serve_app.settings import RateSettings

ROUNDING_S = 1e-6
"""Seconds since the start of a machine do not add up exactly."""

CallClass = Literal["read", "write"]


class Bucket:
    """Tokens of many users: ``per_s`` of them come back each second, ``burst`` are there at the most."""

    def __init__(self, *, per_s: float, burst: int, users: int) -> None:
        self._cost_s = 1 / per_s
        self._slack_s = (burst - 1) / per_s + ROUNDING_S
        self._users = users
        self._young: dict[UserId, float] = {}
        self._old: dict[UserId, float] = {}
        self._next_generation_at = 0.0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def take(self, user_id: UserId, now: float) -> float:
        """0 if a token was taken, else how long until there is one, seconds."""
        young = self._young
        if now >= self._next_generation_at or len(young) >= self._users:
            self._old, self._young = young, {}
            young = self._young
            self._next_generation_at = now + self._slack_s + self._cost_s
        full_at = young.get(user_id) or self._old.get(user_id, 0.0)
        wait = full_at - now - self._slack_s
        if wait > 0:
            return wait
        young[user_id] = (full_at if full_at > now else now) + self._cost_s
        return 0.0


class RateLimits:
    """``monotonic`` is seconds that never go back. Without settings nobody is limited."""

    def __init__(self, settings: RateSettings | None, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._settings = settings
        if settings is not None:
            users = settings.users
            self._read = Bucket(per_s=settings.reads_per_s, burst=settings.reads_burst, users=users)
            self._write = Bucket(per_s=settings.writes_per_s, burst=settings.writes_burst, users=users)
            self._beat = Bucket(per_s=settings.beats_per_s, burst=settings.beats_burst, users=users)
        self._hasty: dict[UserId, dict[bytes, float]] = {}

    def check(self, user_id: UserId, call: CallClass) -> None:
        """``ApiError`` 429."""
        if self._settings is not None:
            bucket = self._read if call == "read" else self._write
            wait_s = bucket.take(user_id, self._monotonic())
            if wait_s:
                raise _limited(wait_s)

    def admits_beat(self, user_id: UserId, session_id: bytes) -> bool:
        """Whether a heartbeat may pass; on the way of every one of them."""
        if self._settings is None:
            return True
        now = self._monotonic()
        return not self._beat.take(user_id, now) or self._waited(user_id, session_id, now, self._settings)

    def check_beat(self, user_id: UserId, session_id: bytes) -> None:
        """``ApiError`` 429."""
        if not self.admits_beat(user_id, session_id):
            raise _limited(1.0)

    def _waited(self, user_id: UserId, session_id: bytes, now: float, settings: RateSettings) -> bool:
        """Of a user whose bucket is empty: whether this session's last beat is long enough ago."""
        sessions = self._hasty.get(user_id)
        if sessions is None:
            if len(self._hasty) >= settings.hasty_users:
                self._hasty.clear()
            sessions = self._hasty[user_id] = {}
        last = sessions.get(session_id)
        if last is None and len(sessions) >= settings.sessions_per_user:
            for other in [other for other, at in sessions.items() if now - at >= settings.beat_gap_s]:
                del sessions[other]
            if len(sessions) >= settings.sessions_per_user:
                return False
        if last is not None and now - last < settings.beat_gap_s:
            return False
        sessions[session_id] = now
        return True


def _limited(wait_s: float) -> ApiError:
    return ApiError("RATE_LIMITED", "too many requests of this user", retry_after_s=ceil(wait_s))
