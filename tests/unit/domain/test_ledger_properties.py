"""The exact ledger for any history: whatever clients do, every total is the sum of its sessions (R-PT-4)."""

from collections import defaultdict
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.domain.commands import (
    AddOfflineSessions,
    Command,
    EndSession,
    ExpireSessions,
    Heartbeat,
    OfflinePlay,
    StartSession,
)
from actors.domain.events import OfflinePlayed, SessionEnded, SessionStarted
from actors.domain.ids import SECOND, ClientSessionId, Micros, ProductId, SessionId, UserId
from actors.domain.model import Library, User
from actors.domain.offline import offline_session_id
from actors.domain.replies import HeartbeatCounted, OfflineResults, SessionIsLive
from actors.domain.spans import Span, Spans, measure, minus, union
from actors.domain.user import evolve
from tests.support.actor import START, Actor, an_id

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


USER = UserId(an_id(7))

mixed = st.lists(
    st.tuples(
        st.sampled_from(["start", "beat", "end", "expire", "offline", "offline", "again", "leave"]),
        st.integers(0, 1),
        st.integers(1, 400),
        st.integers(0, 600),
    ),
    max_size=40,
)


def an_offline_play(actor: Actor, number: int, game: ProductId, length_s: int, ago_s: int) -> OfflinePlay:
    end = Micros(max(START, actor.now - ago_s * SECOND))
    client_id = ClientSessionId(an_id(number))
    begin = Micros(max(START, end - length_s * SECOND))
    return OfflinePlay(offline_session_id(USER, client_id), client_id, game, begin, end)


@settings(max_examples=500, deadline=None)
@given(mixed)
def test_a_total_is_the_measure_of_the_union_of_all_play(script: list[tuple[str, int, int, int]]) -> None:
    """R-PT-4, R-PT-6: online and offline in any order, in memory or not; no second is lost, none is doubled, and each
    session's own time is nobody else's. Times are whole seconds here, so that the equality is exact."""
    actor = Actor()
    actor.owns(*GAMES[:2])
    live: list[SessionId] = [SessionId(an_id(0xDEAD))]
    plays: list[tuple[OfflinePlay, object]] = []
    for action, game, length_s, ago_s in script:
        actor.passes(ago_s // 4)
        if action == "leave":
            actor.leaves_memory()
        elif action in ("offline", "again"):
            play = an_offline_play(actor, len(plays), GAMES[game], length_s, ago_s)
            if action == "again" and plays:
                play = plays[length_s % len(plays)][0]
            answer = actor.ask(AddOfflineSessions((play,)))
            assert isinstance(answer, OfflineResults)
            former = next((result for known, result in plays if known == play), None)
            assert former in (None, "not_positive", answer.results[0])
            plays.append((play, answer.results[0]))
        else:
            commands: dict[str, Command] = {
                "start": StartSession(GAMES[game]),
                "beat": Heartbeat(live[-1]),
                "end": EndSession(live[-1]),
            }
            answer = actor.ask(commands.get(action, ExpireSessions()))
            if isinstance(answer, SessionIsLive):
                live.append(answer.session.session_id)
    actor.passes(10_000)
    actor.ask(ExpireSessions())
    check_union(actor)


def check_union(actor: Actor) -> None:
    started = {event.session.session_id: event.session for event in actor.happened(SessionStarted)}  # type: ignore[attr-defined]
    sessions: list[tuple[ProductId, Span, Spans, int]] = []
    for event in actor.events:
        if isinstance(event, SessionEnded):
            begin = started[event.session_id].started_at
            ended = actor.ended_session(event.session_id)
            sessions.append((event.product_id, (begin, event.ended_at), ended.counted_elsewhere, event.duration_s))
        elif isinstance(event, OfflinePlayed):
            one = event.session
            sessions.append((one.product_id, (one.started_at, one.ended_at), one.counted_elsewhere, one.duration_s))
    for game in GAMES[:2]:
        of_game = [one for one in sessions if one[0] == game]
        played = union(span for _, span, _, _ in of_game)
        assert actor.total(game) == sum(seconds for *_, seconds in of_game) == measure(played) // SECOND
        own = [piece for _, span, elsewhere, _ in of_game for piece in minus(span, elsewhere)]
        assert measure(union(own)) == sum(end - begin for begin, end in own) == measure(played)
