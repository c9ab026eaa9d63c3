"""Many actors asked at once (R-RPC-4, R-PT-7)."""

import pytest

from actors.domain.commands import CheckAccess
from actors.domain.ids import UserId
from actors.domain.replies import AccessSince, Unavailable
from serve_app.many_calls import CHUNK, Question, call_many
from tests.support.actor import an_id
from tests.support.door import GAME
from tests.support.rule_engine import RuleEngine


def questions(count: int) -> list[Question]:
    return [(UserId(an_id(number)), CheckAccess((GAME,))) for number in range(count)]


@pytest.mark.parametrize(("at_once", "lose"), [(True, False), (False, False), (True, True)])
async def test_every_question_has_its_answer_in_its_place(at_once: bool, lose: bool) -> None:
    """Also those that take the long way: no link now, or one that broke."""
    engine = RuleEngine()
    engine.at_once, engine.lose = at_once, lose
    engine.buy(UserId(an_id(7)), GAME)
    engine.buy(UserId(an_id(CHUNK + 7)), GAME)

    replies = await call_many(engine, questions(2 * CHUNK + 1), timeout_s=30)

    granted = [place for place, reply in enumerate(replies) if reply == AccessSince([engine.now])]
    assert granted == [7, CHUNK + 7]
    assert replies.count(AccessSince([None])) == 2 * CHUNK - 1


async def test_who_does_not_answer_in_time_is_unavailable_and_the_others_stand() -> None:
    engine = RuleEngine()
    engine.silent_users.add(UserId(an_id(1)))

    replies = await call_many(engine, questions(3), timeout_s=0.2)

    assert [type(reply) for reply in replies] == [AccessSince, Unavailable, AccessSince]


async def test_nobody_to_ask_is_no_answer() -> None:
    assert await call_many(RuleEngine(), [], timeout_s=1) == []
