"""Offline play: only what nobody counted is credited, what is impossible is refused, each once for good (R-PT-6)."""

from actors.domain.commands import (
    AddFreeProduct,
    AddOfflineSessions,
    AddPurchase,
    EndSession,
    ExpireSessions,
    Heartbeat,
    OfflinePlay,
    RefundPurchase,
    StartSession,
)
from actors.domain.context import Policy
from actors.domain.events import OfflinePlayed, SessionEnded
from actors.domain.ids import SECOND, ClientSessionId, Micros, OrderId, ProductId, SessionId, UserId, shard_of
from actors.domain.model import Aggregate
from actors.domain.offline import MAX_COUNTED_SPANS, MAX_LENGTH_US, offline_session_id
from actors.domain.publishing import published
from actors.domain.replies import OfflineResults, SessionIsLive, SessionIsOver
from actors.domain.spans import DAY_US
from tests.support.actor import GAME, OTHER_GAME, START, Actor, an_id

USER = UserId(an_id(7))
HOUR = 3600
MIDNIGHT = Micros((START // DAY_US + 1) * DAY_US)


def play(number: int, begin_s: float, end_s: float, game: ProductId = GAME, *, origin: int = START) -> OfflinePlay:
    """A session between two moments, in seconds from ``origin``."""
    client_id = ClientSessionId(an_id(number))
    begin, end = Micros(origin + int(begin_s * SECOND)), Micros(origin + int(end_s * SECOND))
    return OfflinePlay(offline_session_id(USER, client_id), client_id, game, begin, end, "deck", "pc")


def brought(actor: Actor, *plays: OfflinePlay) -> list[int | str]:
    answer = actor.ask(AddOfflineSessions(plays))
    assert isinstance(answer, OfflineResults)
    return list(answer.results)


def an_owner(passed_s: float = 10 * HOUR, policy: Policy | None = None) -> Actor:
    actor = Actor(policy)
    actor.owns(GAME, OTHER_GAME)
    actor.passes(passed_s)
    return actor


def test_play_is_credited_and_shows_in_the_library() -> None:
    """R-PT-6, R-LIB-8: the total, and the last start; the session is completed like any other."""
    actor = an_owner()
    assert brought(actor, play(1, 100, 160.5), play(2, 50, 70)) == [60, 20]
    assert actor.total() == 80
    assert actor.user.library is not None
    item = actor.user.library.items[GAME]
    assert (item.last_played_at, item.last_ended_at) == (START + 100 * SECOND, START + 160_500_000)
    answer = actor.ask(EndSession(play(1, 0, 0).session_id))
    assert isinstance(answer, SessionIsOver)
    assert (answer.session.duration_s, answer.session.end_reason, answer.session.client_id) == (60, "client", an_id(1))


def test_a_session_that_comes_again_changes_nothing_for_ever() -> None:
    """R-PT-6: also after the user left memory, and inside one call; another session of that UUID is refused."""
    actor = an_owner()
    first = play(1, 0, 60)
    assert brought(actor, first, first) == [60, 60]
    before = len(actor.events)
    assert brought(actor, first) == [60]
    actor.leaves_memory()
    assert brought(actor, first, play(1, 0, 61), play(1, 0, 60, OTHER_GAME)) == [60, "id_reused", "id_reused"]
    assert len(actor.events) == before
    assert actor.total() == 60


def test_only_the_part_that_nobody_counted_is_credited() -> None:
    """R-PT-4, R-PT-6: overlaps with each other and with what was played online, in memory or not."""
    actor = an_owner(100)
    live = actor.ask(StartSession(GAME))
    assert isinstance(live, SessionIsLive)
    actor.passes(200)
    actor.ask(EndSession(live.session.session_id))
    actor.passes(HOUR)
    assert brought(actor, play(1, 50, 350)) == [100]
    actor.leaves_memory()
    assert brought(actor, play(2, 0, 400), play(3, 120, 130), play(4, 40, 60, OTHER_GAME)) == [100, 0, 20]
    assert (actor.total(), actor.total(OTHER_GAME)) == (400, 20)
    (cut,) = [event.session for event in actor.happened(OfflinePlayed) if event.session.client_id == an_id(2)]  # type: ignore[attr-defined]
    assert cut.counted_elsewhere == ((START + 50 * SECOND, START + 350 * SECOND),)


def test_a_live_session_counts_up_to_its_last_beat_and_leaves_the_rest_to_offline_play() -> None:
    """R-PT-4: cut off from the network, the client plays on offline; whichever way the live session ends, no second is
    lost and none is doubled."""
    for ending, online in (("beats on", 60 + 40), ("is silent", 60)):
        actor = an_owner(0)
        live = actor.ask(StartSession(GAME))
        assert isinstance(live, SessionIsLive)
        actor.passes(60)
        actor.ask(Heartbeat(live.session.session_id))
        actor.passes(140)
        assert brought(actor, play(1, 30, 160)) == [100]
        assert brought(actor, play(2, 150, 155), play(3, 50, 165)) == [0, 5]
        if ending == "beats on":
            actor.passes(5)
            answer = actor.ask(EndSession(live.session.session_id))
            assert isinstance(answer, SessionIsOver)
            ended_session = actor.ended_session(live.session.session_id)
            assert ended_session.counted_elsewhere == ((START + 60 * SECOND, START + 165 * SECOND),)
        else:
            actor.passes(HOUR)
            answer = actor.ask(EndSession(live.session.session_id))
        (ended,) = actor.happened(SessionEnded)
        assert isinstance(ended, SessionEnded)
        assert ended.duration_s == online
        assert actor.total() == 105 + online


def test_a_session_that_ends_at_its_last_beat_does_not_hide_later_offline_play() -> None:
    """Time goes on from the last end that is known, also after the user left memory (ARCHITECTURE.md, "Time")."""
    actor = an_owner(0)
    actor.ask(StartSession(GAME))
    actor.passes(200)
    brought(actor, play(1, 30, 160))
    actor.passes(HOUR)
    actor.ask(ExpireSessions())
    assert actor.user.library is not None
    assert actor.user.library.items[GAME].last_ended_at == START + 160 * SECOND


def test_impossible_sessions_are_refused_one_by_one_with_reasons() -> None:
    """R-PT-6: each alone; the others of the call are taken, and nothing is remembered of those refused."""
    actor = an_owner()
    not_mine = ProductId(an_id(0xFF))
    too_long = play(5, 0, MAX_LENGTH_US // SECOND + 1, origin=actor.now - MAX_LENGTH_US - 2 * SECOND)
    assert brought(
        actor,
        play(1, 10, 10.999),
        play(2, 20, 10),
        play(3, 10 * HOUR - 10, 10 * HOUR + 1),
        play(4, -1, 10),
        too_long,
        play(6, 0, 10, not_mine),
        play(7, 0, 10),
    ) == ["not_positive", "not_positive", "in_future", "before_acquisition", "too_long", "not_owned", 10]
    assert len(actor.happened(OfflinePlayed)) == 1
    actor.passes(1)
    assert brought(actor, play(3, 10 * HOUR - 10, 10 * HOUR + 1)) == [11]


def test_a_day_holds_24_hours_over_all_products() -> None:
    """R-PT-6: by UTC days, online play counts too; what is counted already does not fill a day twice."""
    actor = an_owner((MIDNIGHT - START) / SECOND)
    live = actor.ask(StartSession(OTHER_GAME))
    assert isinstance(live, SessionIsLive)
    for _ in range(5 * 60):
        actor.passes(60)
        actor.ask(Heartbeat(live.session.session_id))
    actor.passes(48 * HOUR)
    day = MIDNIGHT

    def that_day(number: int, begin_h: float, end_h: float, game: ProductId = GAME) -> OfflinePlay:
        return play(number, begin_h * HOUR, end_h * HOUR, game, origin=day)

    assert brought(actor, that_day(1, 4, 24)) == ["day_full"]
    assert brought(actor, that_day(2, 5, 24), that_day(3, 5, 24)) == [19 * HOUR, 0]
    actor.leaves_memory()
    assert brought(actor, that_day(4, 23, 24 + 1 / HOUR, OTHER_GAME)) == ["day_full"]
    assert brought(
        actor,
        that_day(5, 24, 25, OTHER_GAME),
        that_day(6, 24, 47),
        that_day(7, 47, 47.5, OTHER_GAME),
        that_day(8, 48, 48.5),
    ) == [HOUR, 23 * HOUR, "day_full", HOUR // 2]
    assert brought(actor, that_day(9, 47, 47.5, OTHER_GAME)) == ["day_full"]


def test_a_session_may_cross_many_days() -> None:
    actor = an_owner(0)
    actor.passes(7 * 24 * HOUR)
    assert brought(actor, play(1, 0, 7 * 24 * HOUR)) == [7 * 24 * HOUR]


def test_a_session_cut_into_too_many_pieces_is_refused() -> None:
    """Promise 6: what one session may remember is bounded."""
    actor = an_owner(24 * HOUR)
    for first in range(0, 600, 100):
        brought(actor, *(play(n + 10, 2 * n, 2 * n + 1) for n in range(first, first + 100)))
    assert brought(actor, play(1, 0, 1300), play(2, 0, 900)) == ["too_fragmented", 450]


def test_a_past_of_more_pieces_than_can_be_looked_at_is_refused_in_memory_too() -> None:
    """Promise 7: pieces that no flush has brought to the tables count as well; another day's do not."""
    actor = an_owner(48 * HOUR)
    for first in range(0, MAX_COUNTED_SPANS, 100):
        brought(actor, *(play(n + 10, 2 * n, 2 * n + 1, origin=MIDNIGHT) for n in range(first, first + 100)))
    assert brought(actor, play(2, HOUR, HOUR + 9, origin=MIDNIGHT)) == [9]
    assert brought(actor, play(3, HOUR + 10, HOUR + 20, origin=MIDNIGHT)) == ["too_fragmented"]
    assert brought(actor, play(4, 0, 10)) == [10]


def test_ids_that_are_nobodys_are_not_kept() -> None:
    """Promise 6: a client may make up any number of them, of products that it does not own too."""
    actor = an_owner()
    not_mine = ProductId(an_id(0xFF))
    for n in range(0, 60, 3):
        made_up = [play(n + one, 0, 10, not_mine) for one in range(3)]
        assert brought(actor, *made_up, play(n + 3, 0, 10, not_mine)) == ["not_owned"] * 4
        assert len(actor.user.ended) <= 4
    for n in range(5):
        actor.ask(Heartbeat(SessionId(an_id(5000 + n))))
    assert len(actor.user.ended) == 1
    assert brought(actor, play(70, 0, 10), play(71, 10, 20), play(0, 20, 30)) == [10, 10, 10]
    assert brought(actor, play(70, 0, 10), play(72, 30, 40)) == [10, 10]
    assert len(actor.user.ended) == 4


def test_play_is_owned_since_the_first_ground_whatever_the_item_shows_now() -> None:
    """R-PT-6, R-LIB-8: an upgrade, a fallback or a second purchase makes no honest play impossible."""
    gift, order, later = (OrderId(an_id(n)) for n in (21, 22, 23))
    actor = Actor()
    actor.ask(AddFreeProduct(GAME))
    actor.ask(AddPurchase(gift, (OTHER_GAME,), actor.now, "gift"))
    actor.passes(HOUR)
    actor.ask(AddPurchase(order, (GAME,), actor.now))
    actor.ask(RefundPurchase(gift, (OTHER_GAME,), actor.now))
    actor.ask(AddPurchase(later, (OTHER_GAME,), actor.now))
    actor.passes(HOUR)
    assert brought(actor, play(1, 0, 60), play(2, 60, 120, OTHER_GAME)) == [60, 60]
    assert brought(actor, play(3, -1, 1), play(4, -1, 1, OTHER_GAME)) == ["before_acquisition"] * 2


def test_only_the_days_in_question_are_looked_at() -> None:
    """Promise 7: not the whole history; and what is refused before asks for nothing."""
    actor = an_owner(50 * 24 * HOUR)
    brought(actor, play(1, 10, 10), play(2, -5, 10**8))
    assert actor.loads == []
    brought(actor, play(3, 24 * HOUR, 24 * HOUR + 10), play(4, 30 * 24 * HOUR, 30 * 24 * HOUR + 10))
    (missing,) = actor.loads
    today = START // DAY_US
    assert missing.aggregate is Aggregate.PAST
    assert missing.past is not None
    assert missing.past.days == (today + 1, today + 30)
    assert missing.past.sessions == (play(3, 0, 0).session_id, play(4, 0, 0).session_id)


def test_a_later_start_begins_no_earlier_than_offline_play_has_ended() -> None:
    """Time does not run backwards for a user, so online play after it cannot overlap."""
    actor = an_owner(100)
    brought(actor, play(1, 0, 100))
    actor.passes(-50)
    live = actor.ask(StartSession(GAME))
    assert isinstance(live, SessionIsLive)
    actor.passes(20)
    assert actor.user.last_event_at >= START + 100 * SECOND


def test_an_id_is_its_users_alone() -> None:
    """R-SEC-2: nobody can take the id of another user's session by making up the same UUID."""
    other = UserId(an_id(8))
    assert shard_of(USER) != shard_of(other)
    same = ClientSessionId(an_id(1))
    ids = {offline_session_id(USER, same), offline_session_id(other, same), SessionId(same)}
    assert len(ids) == 3
    assert offline_session_id(USER, same) == offline_session_id(USER, same)


def test_the_world_hears_of_it_as_of_an_end_that_was_offline() -> None:
    """R-EVT-1: one event a session, also when all of it was counted before."""
    actor = an_owner()
    brought(actor, play(1, 0, 60), play(2, 10, 20))
    told = [one for event in actor.happened(OfflinePlayed) for one in published(USER, event)]
    assert [(one.data["session_duration_seconds"], one.data["total_playtime_seconds"]) for one in told if one] == [
        (60, 60),
        (0, 60),
    ]
    assert all(one and one.type == "library.playtime.session.ended.v1" and one.data["offline"] for one in told)
    assert len({one.event_id for one in told if one}) == 2
