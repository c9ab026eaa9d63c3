"""The exact ledger for any history: whatever clients do, every total is the sum of its sessions (R-PT-4)."""

from collections import defaultdict
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.domain.commands import Command, EndSession, ExpireSessions, Heartbeat, StartSession
from actors.domain.events import SessionEnded, SessionStarted
from actors.domain.ids import Micros, ProductId, SessionId
from actors.domain.model import Library, User
from actors.domain.replies import HeartbeatCounted, SessionIsLive
from actors.domain.user import evolve
from tests.support.actor import Actor, an_id

GAMES = [ProductId(an_id(number)) for number in range(1, 8)]

steps = st.lists(
    st.tuples(
        st.sampled_from(["start", "beat", "end", "expire", "deaf"]),
        st.integers(0, 6),
        st.sampled_from(["", "desk", "couch"]),
        st.floats(0, 400, allow_nan=False),
    ),
    max_size=60,
)


def play(script: list[tuple[str, int, str, float]]) -> tuple[Actor, dict[SessionId, Micros]]:
    """Runs a script; also returns the latest beat each client was told is counted."""
    actor = Actor()
    actor.owns(*GAMES)
    known: list[SessionId] = [SessionId(an_id(0xDEAD))]
    accepted: dict[SessionId, Micros] = {}
    for action, number, device, seconds in script:
        actor.passes(seconds)
        session_id = known[number % len(known)]
        command: Command = {
            "start": StartSession(GAMES[number], device),
            "beat": Heartbeat(session_id),
            "end": EndSession(session_id),
        }.get(action, ExpireSessions())
        if action == "deaf":
            actor.heard_since = actor.now
        answer = actor.ask(command)
        if isinstance(answer, SessionIsLive):
            known.append(answer.session.session_id)
        if isinstance(answer, HeartbeatCounted):
            accepted[session_id] = answer.accepted_at
    return actor, accepted


@settings(max_examples=300, deadline=None)
@given(steps)
def test_every_total_is_the_sum_of_its_ended_sessions(script: list[tuple[str, int, str, float]]) -> None:
    """R-PT-4"""
    actor, _ = play(script)
    sums: dict[ProductId, int] = defaultdict(int)
    for event in actor.happened(SessionEnded):
        assert isinstance(event, SessionEnded)
        sums[event.product_id] += event.duration_s
        assert event.total_playtime_s == sums[event.product_id]
    assert {game: actor.total(game) for game in GAMES} == {game: sums[game] for game in GAMES}


@settings(max_examples=300, deadline=None)
@given(steps)
def test_no_session_ends_before_its_latest_acknowledged_beat(script: list[tuple[str, int, str, float]]) -> None:
    """R-PT-9"""
    actor, accepted = play(script)
    for event in actor.happened(SessionEnded):
        assert isinstance(event, SessionEnded)
        assert event.ended_at >= accepted.get(event.session_id, Micros(0))


@settings(max_examples=300, deadline=None)
@given(steps)
def test_sessions_of_one_product_never_overlap_and_end_once(script: list[tuple[str, int, str, float]]) -> None:
    """R-PT-2, R-PT-4"""
    actor, _ = play(script)
    started = {event.session.session_id: event.session for event in actor.happened(SessionStarted)}  # type: ignore[union-attr]
    ended = {event.session_id: event.ended_at for event in actor.happened(SessionEnded)}  # type: ignore[union-attr]
    assert len(ended) == len(actor.happened(SessionEnded))
    for game in GAMES:
        spans = sorted(
            (session.started_at, ended.get(session.session_id, actor.now))
            for session in started.values()
            if session.product_id == game
        )
        for (_, end), (begin, _) in pairwise(spans):
            assert begin >= end


@settings(max_examples=200, deadline=None)
@given(steps)
def test_replaying_the_events_gives_the_same_state(script: list[tuple[str, int, str, float]]) -> None:
    """Promise 1: what recovery rebuilds is what was."""
    actor, _ = play(script)
    rebuilt = User(library=Library(), commands={})
    for event in actor.events:
        rebuilt = evolve(rebuilt, event)
    assert rebuilt.live == actor.user.live
    assert rebuilt.library == actor.user.library
    assert rebuilt.ended == {key: session for key, session in actor.user.ended.items() if session is not None}
