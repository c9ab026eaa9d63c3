"""Play sessions by the rules alone (R-PT-1 to R-PT-4, R-PT-8 to R-PT-10)."""

import pytest

from actors.domain.commands import EndSession, ExpireSessions, Heartbeat, ListLiveSessions, StartSession
from actors.domain.context import Policy
from actors.domain.events import AnomalyRecorded, HeartbeatAccepted, SessionEnded, SessionStarted
from actors.domain.ids import SECOND, CommandId, Micros, ProductId, SessionId
from actors.domain.model import LiveSession
from actors.domain.remembering import FORGET_EVERY
from actors.domain.replies import Done, HeartbeatCounted, LiveSessions, Refused, SessionIsLive, SessionIsOver
from tests.support.actor import GAME, OTHER_GAME, START, Actor, an_id

NOBODYS = SessionId(an_id(0xDEAD))


@pytest.fixture
def actor() -> Actor:
    actor = Actor()
    actor.owns(GAME, OTHER_GAME)
    return actor


def start(actor: Actor, product: ProductId = GAME, device: str = "desk") -> LiveSession:
    answer = actor.ask(StartSession(product, device))
    assert isinstance(answer, SessionIsLive)
    return answer.session


def test_a_session_lasts_from_its_start_to_its_end_in_whole_seconds(actor: Actor) -> None:
    """R-PT-4"""
    session = start(actor)
    actor.passes(59.9)
    answer = actor.ask(EndSession(session.session_id))
    assert isinstance(answer, SessionIsOver)
    assert (answer.session.duration_s, answer.session.end_reason) == (59, "client")
    assert actor.total() == 59


def test_totals_add_up_over_sessions(actor: Actor) -> None:
    """R-PT-4"""
    for seconds in (10.9, 20.9, 30.9):
        session = start(actor)
        actor.passes(seconds)
        actor.ask(EndSession(session.session_id))
    assert actor.total() == 10 + 20 + 30


def test_a_product_that_is_not_owned_cannot_be_started(actor: Actor) -> None:
    """R-PT-2, R-PT-9"""
    answer = actor.ask(StartSession(ProductId(an_id(0xC)), "desk"))
    assert isinstance(answer, Refused)
    assert answer.code == "LIBRARY_ITEM_NOT_FOUND"
    assert not actor.user.live


def test_the_same_device_gets_the_same_session_again(actor: Actor) -> None:
    """R-PT-2"""
    session = start(actor)
    actor.passes(30)
    again = actor.ask(StartSession(GAME, "desk"))
    assert again == SessionIsLive(session, resumed=True)
    assert len(actor.happened(SessionStarted)) == 1


def test_a_second_device_takes_over_and_the_old_session_ends_at_its_last_heartbeat(actor: Actor) -> None:
    """R-PT-2"""
    first = start(actor)
    actor.passes(60)
    actor.ask(Heartbeat(first.session_id))
    actor.passes(45)
    second = start(actor, device="couch")
    assert second.session_id != first.session_id
    (ended,) = actor.happened(SessionEnded)
    assert isinstance(ended, SessionEnded)
    assert (ended.session_id, ended.duration_s, ended.reason) == (first.session_id, 60, "takeover")
    assert actor.ask(Heartbeat(first.session_id)) == Refused("SESSION_ENDED")


def test_another_product_has_a_session_of_its_own(actor: Actor) -> None:
    """R-PT-2"""
    start(actor)
    start(actor, OTHER_GAME)
    assert len(actor.user.live) == 2


def test_silence_ends_a_session_at_its_last_heartbeat(actor: Actor) -> None:
    """R-PT-3"""
    session = start(actor)
    actor.passes(60)
    actor.ask(Heartbeat(session.session_id))
    actor.passes(299)
    assert actor.ask(ExpireSessions()) == Done(changed=False)
    actor.passes(1)
    assert actor.ask(ExpireSessions()) == Done()
    (ended,) = actor.happened(SessionEnded)
    assert isinstance(ended, SessionEnded)
    assert (ended.ended_at, ended.reason, actor.total()) == (START + 60 * SECOND, "timeout", 60)


def test_a_beat_in_time_credits_the_gap(actor: Actor) -> None:
    """R-PT-3, R-PT-4"""
    session = start(actor)
    actor.passes(299)
    assert actor.ask(Heartbeat(session.session_id)) == HeartbeatCounted(actor.now, 60)
    actor.ask(EndSession(session.session_id))
    assert actor.total() == 299


def test_a_beat_that_comes_too_late_finds_the_session_ended_even_before_the_timer_did_it(actor: Actor) -> None:
    """R-PT-3"""
    session = start(actor)
    actor.passes(301)
    assert actor.ask(Heartbeat(session.session_id)) == Refused("SESSION_ENDED")
    assert actor.total() == 0
    assert not actor.user.live


def test_silence_does_not_count_while_nobody_could_hear(actor: Actor) -> None:
    """R-PT-3"""
    session = start(actor)
    actor.passes(1_000)
    actor.heard_since = Micros(actor.now - 10 * SECOND)
    assert actor.ask(ExpireSessions()) == Done(changed=False)
    assert actor.ask(Heartbeat(session.session_id)) == HeartbeatCounted(actor.now, 60)


def test_an_end_after_silence_ends_at_the_last_heartbeat(actor: Actor) -> None:
    """R-PT-3: an end that comes too late does not credit the silence."""
    session = start(actor)
    actor.passes(400)
    answer = actor.ask(EndSession(session.session_id))
    assert isinstance(answer, SessionIsOver)
    assert (answer.session.end_reason, answer.session.duration_s) == ("timeout", 0)


def test_a_repeated_end_gets_the_same_answer(actor: Actor) -> None:
    """R-PT-9"""
    session = start(actor)
    actor.passes(10)
    first = actor.ask(EndSession(session.session_id))
    actor.passes(10)
    assert actor.ask(EndSession(session.session_id)) == first
    assert len(actor.happened(SessionEnded)) == 1


def test_a_heartbeat_after_the_end_is_refused_and_an_unknown_session_is_not_found(actor: Actor) -> None:
    """R-PT-9, R-SEC-2"""
    session = start(actor)
    actor.ask(EndSession(session.session_id))
    assert actor.ask(Heartbeat(session.session_id)) == Refused("SESSION_ENDED")
    assert actor.ask(Heartbeat(NOBODYS)) == Refused("SESSION_NOT_FOUND")
    assert actor.ask(EndSession(NOBODYS)) == Refused("SESSION_NOT_FOUND")


def test_heartbeats_faster_than_a_tenth_of_the_interval_count_once(actor: Actor) -> None:
    """R-PT-8"""
    session = start(actor)
    actor.passes(60)
    counted = actor.ask(Heartbeat(session.session_id))
    for _ in range(5):
        actor.passes(1)
        assert actor.ask(Heartbeat(session.session_id)) == counted
    assert len(actor.happened(HeartbeatAccepted)) == 1
    assert len(actor.happened(AnomalyRecorded)) == 1
    actor.passes(1)
    assert actor.ask(Heartbeat(session.session_id)) == HeartbeatCounted(actor.now, 60)


def test_more_live_sessions_than_allowed_are_refused_and_recorded_once(actor: Actor) -> None:
    """R-PT-8"""
    games = [ProductId(an_id(number)) for number in range(100, 106)]
    actor.owns(*games, order=2)
    for game in games[:5]:
        start(actor, game)
    for _ in range(3):
        answer = actor.ask(StartSession(games[5], "desk"))
        assert isinstance(answer, Refused)
        assert answer.code == "LIVE_SESSION_LIMIT_REACHED"
    assert len(actor.user.live) == 5
    assert len(actor.happened(AnomalyRecorded)) == 1


def test_silent_sessions_make_room_for_a_new_one(actor: Actor) -> None:
    """R-PT-3, R-PT-8"""
    games = [ProductId(an_id(number)) for number in range(100, 106)]
    actor.owns(*games, order=2)
    for game in games[:5]:
        start(actor, game)
    actor.passes(301)
    start(actor, games[5])
    assert len(actor.user.live) == 1


def test_a_longer_interval_gives_a_longer_time_out(actor: Actor) -> None:
    """R-PT-10"""
    actor.interval_s = 120
    session = start(actor)
    assert session.interval_s == 120
    actor.passes(599)
    assert actor.ask(Heartbeat(session.session_id)) == HeartbeatCounted(actor.now, 120)


def test_the_interval_told_with_a_beat_is_the_one_that_counts(actor: Actor) -> None:
    """R-PT-10"""
    session = start(actor)
    actor.passes(60)
    actor.interval_s = 180
    assert actor.ask(Heartbeat(session.session_id)) == HeartbeatCounted(actor.now, 180)
    actor.interval_s = 60
    actor.passes(800)
    assert actor.ask(ExpireSessions()) == Done(changed=False)


def test_a_start_is_the_last_time_the_item_was_played(actor: Actor) -> None:
    """R-LIB-8: ``last_played_at`` is the last session *start*."""
    actor.passes(5)
    started = actor.now
    session = start(actor)
    actor.passes(60)
    actor.ask(EndSession(session.session_id))
    assert actor.user.library is not None
    assert actor.user.library.items[GAME].last_played_at == started


def test_live_sessions_are_listed_without_those_whose_time_is_over(actor: Actor) -> None:
    """R-PT-5"""
    session = start(actor)
    assert actor.ask(ListLiveSessions()) == LiveSessions([session])
    actor.passes(300)
    assert actor.ask(ListLiveSessions()) == LiveSessions([])


def test_a_start_sent_again_with_its_id_is_answered_as_the_first_time(actor: Actor) -> None:
    """Promise 2: also when the session has ended meanwhile."""
    command, command_id = StartSession(GAME, "desk"), CommandId(an_id(0xC0))
    first = actor.ask(command, command_id)
    assert isinstance(first, SessionIsLive)
    actor.ask(EndSession(first.session.session_id))
    assert actor.ask(command, command_id) == first
    assert len(actor.happened(SessionStarted)) == 1


def test_a_resumed_start_that_is_delivered_again_after_the_end_starts_nothing(actor: Actor) -> None:
    """Promise 2"""
    session = start(actor)
    command, command_id = StartSession(GAME, "desk"), CommandId(an_id(0xC0))
    resumed = actor.ask(command, command_id)
    actor.ask(EndSession(session.session_id))
    assert actor.ask(command, command_id) == resumed
    assert not actor.user.live


def test_a_refusal_is_not_remembered() -> None:
    """Promise 2: what changed nothing may succeed when it is tried again."""
    actor = Actor()
    command, command_id = StartSession(GAME, "desk"), CommandId(an_id(0xC0))
    assert isinstance(actor.ask(command, command_id), Refused)
    actor.owns(GAME)
    assert isinstance(actor.ask(command, command_id), SessionIsLive)


def test_command_ids_are_forgotten_after_ten_minutes(actor: Actor) -> None:
    """Promise 6: nothing grows with time."""
    for number in range(4 * FORGET_EVERY):
        answer = actor.ask(StartSession(GAME, "desk"), CommandId(an_id(5_000 + number)))
        assert isinstance(answer, SessionIsLive)
        actor.passes(60)
        actor.ask(EndSession(answer.session.session_id))
        assert actor.user.commands is not None
        assert len(actor.user.commands) <= 11 + FORGET_EVERY


def test_policy_time_out_scales_with_the_interval() -> None:
    """R-PT-10"""
    policy = Policy(heartbeat_interval_s=60, session_timeout_s=300)
    assert policy.timeout_after(60) == 300 * SECOND
    assert policy.timeout_after(30) == 300 * SECOND
    assert policy.timeout_after(240) == 1200 * SECOND
