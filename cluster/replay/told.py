"""What the service told one client about one session: the promises the check holds it to."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ToldEnd:
    end_time: str
    duration_seconds: int


@dataclass(kw_only=True, slots=True)
class ToldSession:
    """Acknowledged facts alone; times in the service's own text.

    ``accepted_at`` is the ``Library-Accepted-At`` of the latest acknowledged beat, ``end`` the body of an acknowledged
    end. A session that ended with 409 ``SESSION_ENDED`` has no end here: its client was not told when.
    """

    user_id: str
    product_id: str
    session_id: str
    start_time: str
    accepted_at: str | None = None
    end: ToldEnd | None = None
