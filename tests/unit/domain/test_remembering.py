"""A client's key: the answer of the first call again, another request refused, for 24 hours (promise 2)."""

import pytest
from msgspec.structs import replace

from actors.domain.commands import (
    AddOfflineSessions,
    Command,
    EndSession,
    Heartbeat,
    ListItems,
    OfflinePlay,
    StartSession,
    UseKey,
)
from actors.domain.context import Policy
from actors.domain.events import CommandApplied
from actors.domain.ids import SECOND, ClientSessionId, CommandId, Micros, SessionId, UserId
from actors.domain.model import AppliedCommand, LibraryItem
from actors.domain.offline import MAX_SESSIONS, offline_session_id
from actors.domain.remembering import (
    FORGET_EVERY,
    MAX_KEYS,
    AnswerTooLong,
    applied_command,
    client_key,
    part_key,
)
from actors.domain.replies import Done, HeartbeatCounted, ItemsPage, OfflineResults, Refused, SessionIsLive
from tests.support.actor import GAME, OTHER_GAME, START, Actor, an_id

USER = UserId(an_id(7))
HOUR = 3600


def a_key(key: bytes = b"k", request: bytes = b"POST /start") -> CommandId:
    return client_key(USER, key, request)


def an_owner(policy: Policy | None = None) -> Actor:
    actor = Actor(policy)
    actor.owns(GAME, OTHER_GAME)
    return actor


def test_the_answer_of_the_first_call_is_given_again() -> None:
    """Also for commands that need no id of their own, and although the state has gone on."""
    actor = an_owner()
    started = actor.ask(StartSession(GAME), a_key())
    assert isinstance(started, SessionIsLive)
    session_id = started.session.session_id
    actor.passes(60)
    beaten = actor.ask(Heartbeat(session_id), a_key(b"beat"))
    actor.passes(60)
    assert actor.ask(Heartbeat(session_id), a_key(b"beat")) == beaten
    assert actor.user.live[0].last_heartbeat_at == START + 60_000_000
    ended = actor.ask(EndSession(session_id), a_key(b"end"))
    before = len(actor.events)
    assert actor.ask(StartSession(GAME), a_key()) == started
    assert actor.ask(EndSession(session_id), a_key(b"end")) == ended
    assert len(actor.events) == before


def test_another_request_with_the_same_key_is_refused_and_changes_nothing() -> None:
    actor = an_owner()
    actor.ask(StartSession(GAME), a_key())
    before = actor.user
    answer = actor.ask(StartSession(OTHER_GAME), a_key(request=b"POST /start, another body"))
    assert isinstance(answer, Refused)
    assert answer.code == "IDEMPOTENCY_KEY_REUSED"
    assert actor.user == before


def test_a_refusal_is_not_remembered() -> None:
    """What changed nothing may be tried again, even with another body."""
    actor = Actor()
    assert isinstance(actor.ask(StartSession(GAME), a_key()), Refused)
    actor.owns(GAME)
    assert isinstance(actor.ask(StartSession(GAME), a_key(request=b"POST /start, mended")), SessionIsLive)


@pytest.mark.parametrize(("hours", "known"), [(23.99, True), (24.01, False)])
def test_a_key_is_remembered_for_24_hours_whatever_else_happens(hours: float, known: bool) -> None:
    actor = an_owner()
    first = actor.ask(StartSession(GAME), a_key())
    for n in range(5):
        actor.ask(StartSession(OTHER_GAME), CommandId(an_id(0xC000 + n)))
        actor.ask(UseKey(), a_key(f"other {n}".encode()))
        actor.passes(hours / 5 * HOUR)
    assert (actor.ask(StartSession(GAME), a_key()) == first) is known


def test_keys_are_each_users_own() -> None:
    """R-SEC-2: two users with the same key know nothing of each other."""
    other = UserId(an_id(8))
    ids = {client_key(user, key, b"r") for user in (USER, other) for key in (b"a", b"b")}
    assert len({whole[:16] for whole in ids}) == 4
    whole = a_key()
    parts = {part_key(whole, user, part) for user in (USER, other) for part in (an_id(1), an_id(2))}
    assert len({part[:16] for part in parts} | {whole[:16]}) == 5
    assert {part[16:] for part in parts} == {whole[16:]}


def test_a_read_without_a_place_in_memory_is_not_remembered() -> None:
    """A door's own id counts for remembered commands alone: a heartbeat costs no memory."""
    actor = an_owner()
    actor.ask(ListItems(), CommandId(an_id(0xC0)))
    assert actor.happened(CommandApplied) == []


def test_more_keys_than_can_be_kept_are_refused_not_forgotten() -> None:
    """Promise 6: a key that was accepted stays known for its 24 hours."""
    actor = an_owner()
    first = actor.ask(UseKey(), a_key())
    now = actor.now
    assert actor.user.commands is not None
    many = {
        CommandId(an_id(n)): AppliedCommand(CommandId(an_id(n)), now, b"", b"r") for n in range(10**6, 10**6 + MAX_KEYS)
    }
    actor.user = replace(actor.user, commands={**actor.user.commands, **many})
    refused = actor.ask(StartSession(GAME), a_key(b"one more"))
    assert isinstance(refused, Refused)
    assert refused.code == "RATE_LIMITED"
    assert actor.ask(UseKey(), a_key()) == first
    assert isinstance(actor.ask(StartSession(GAME), CommandId(an_id(0xC0))), SessionIsLive)
    actor.passes(25 * HOUR)
    for n in range(FORGET_EVERY):
        assert isinstance(actor.ask(UseKey(), a_key(b"one more %d" % n)), Done)
    assert len(actor.user.commands or {}) <= FORGET_EVERY


def test_what_can_be_remembered_fits() -> None:
    """At most 4 KiB: the longest answers there are to a POST."""
    actor = an_owner()
    longest = "é" * 128
    actor.passes(24 * HOUR)
    plays = tuple(
        OfflinePlay(
            SessionId(an_id(n)), ClientSessionId(an_id(n)), OTHER_GAME, Micros(START - n - 1), Micros(START + SECOND)
        )
        for n in range(MAX_SESSIONS)
    )
    answers = [
        actor.ask(command, a_key(type(command).__name__.encode()))
        for command in (StartSession(GAME, longest, "mobile"), AddOfflineSessions(plays))
    ]
    assert isinstance(answers[1], OfflineResults)
    assert set(answers[1].results) == {"before_acquisition"}
    assert len(actor.happened(CommandApplied)) == 2


def test_a_session_of_many_pieces_is_answered_without_them() -> None:
    """R-PT-6 meets the 4 KiB: what an answer does not need is not stored with it."""
    actor = an_owner(Policy(session_timeout_s=1_000))
    live = actor.ask(StartSession(GAME))
    assert isinstance(live, SessionIsLive)
    actor.passes(900)
    plays = []
    for n in range(400):
        client_id = ClientSessionId(an_id(n + 1))
        begin = Micros(START + 1_000_000 + n * 2_000_000)
        play = OfflinePlay(offline_session_id(USER, client_id), client_id, GAME, begin, Micros(begin + 1_000_000))
        plays.append(play)
    for first in range(0, 400, 100):
        actor.ask(AddOfflineSessions(tuple(plays[first : first + 100])))
    assert len(actor.user.live[0].counted_elsewhere) == 400
    resume: Command = StartSession(GAME)
    for command in (resume, Heartbeat(live.session.session_id), EndSession(live.session.session_id)):
        answer = actor.ask(command, a_key(type(command).__name__.encode()))
        assert isinstance(answer, SessionIsLive | HeartbeatCounted) or not isinstance(answer, Refused)


def test_an_answer_that_is_too_long_is_a_bug_that_changes_nothing() -> None:
    page = ItemsPage([LibraryItem(an_id(1), GAME, START, "purchase")] * 100, 100)  # type: ignore[arg-type]
    with pytest.raises(AnswerTooLong):
        applied_command(a_key(), START, page)
