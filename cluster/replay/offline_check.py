"""The judgement of an offline replay: pure. Whatever was sent how often, every total is the file's, to the second."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from actors.domain.ids import Micros, from_datetime
from cluster.replay.check import Item, Kind, Owned, Session, Violation
from cluster.replay.offline_plan import OfflineSession, sessions_of
from cluster.replay.plan import UserPlan


def check_offline(
    users: Iterable[UserPlan], api_items: Sequence[Item], table_items: Sequence[Item], sessions: Sequence[Session]
) -> list[Violation]:
    """For users all of whose sessions were sent: items as the API and the table show them, and the sessions' rows."""
    users = list(users)
    planned = {(user.user_id, play.product_id): play.seconds for user in users for play in user.plays}
    return [
        *_check_totals(planned, "API", api_items),
        *_check_totals(planned, "table", table_items),
        *_check_sums(planned, sessions),
        *_check_sessions(users, sessions),
    ]


def _check_totals(planned: dict[Owned, int], where: str, items: Sequence[Item]) -> Iterator[Violation]:
    shown = Counter((item.user_id, item.product_id) for item in items)
    totals = {(item.user_id, item.product_id): item.total_seconds for item in items}
    for owned, seconds in planned.items():
        if shown[owned] != 1:
            yield _violation("item not shown" if where == "API" else "item not in the table", owned)
        elif totals[owned] != seconds:
            yield _violation("total is not the file's", owned, f"{where} {totals[owned]} s, file {seconds} s")


def _check_sums(planned: dict[Owned, int], sessions: Sequence[Session]) -> Iterator[Violation]:
    sums: Counter[Owned] = Counter()
    for session in sessions:
        sums[session.user_id, session.product_id] += session.duration_seconds or 0
    for owned in planned.keys() | sums.keys():
        if sums[owned] != planned.get(owned, 0):
            detail = f"sessions {sums[owned]} s, file {planned.get(owned, 0)} s"
            yield _violation("total is not the sum of the sessions", owned, detail)


def _check_sessions(users: Iterable[UserPlan], sessions: Sequence[Session]) -> Iterator[Violation]:
    """Each session that was sent is there once, and no other."""
    stored = {(session.user_id, session.client_session_id or session.session_id): session for session in sessions}
    for user in users:
        for sent in sessions_of(user):
            session = stored.pop((user.user_id, sent.client_id), None)
            owned = (user.user_id, sent.product_id)
            if session is None:
                yield _violation("acknowledged session is missing", owned, f"session {sent.client_id}")
            elif (session.product_id, session.started_at, session.duration_seconds) != _as_sent(sent):
                detail = f"session {sent.client_id}: {session.duration_seconds} s, sent {sent.seconds} s"
                yield _violation("acknowledged session differs", owned, detail)
    for session in stored.values():
        yield _violation("session nobody sent", (session.user_id, session.product_id), f"session {session.session_id}")


def _as_sent(sent: OfflineSession) -> tuple[str, Micros, int]:
    return sent.product_id, from_datetime(sent.begin), sent.seconds


def _violation(kind: Kind, owned: Owned, detail: str = "") -> Violation:
    return Violation(kind=kind, user_id=owned[0], product_id=owned[1], detail=detail)
