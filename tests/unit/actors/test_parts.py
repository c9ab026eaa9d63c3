"""The engine's small parts, each alone."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.batching import NaturalBatcher
from actors.clock import ServiceClock
from actors.domain.commands import Heartbeat
from actors.domain.context import Policy
from actors.domain.ids import SECOND, CommandId, HostId, Micros, Seq, SessionId, ShardId, Term, UserId
from actors.domain.model import Library, User
from actors.domain.replies import Done, Overloaded, Reply
from actors.flush_rows import FlushRows
from actors.hearing import Deafness, Hearing
from actors.journal import UnreadableJournal, decode_body, encode_body
from actors.lifecycle import HOST_TRANSITIONS, HostState, IllegalTransition, host_lifecycle
from actors.mailbox import Mailbox, MailboxLimits, Pending
from actors.pacing import Pace
from actors.placement import plan_moves
from actors.ports import ClockOrigin
from actors.release import release_formats
from actors.residents import SWEEP, Residents
from actors.territory import Shard, Territory
from actors.timers import DeadlineWheel
from tests.support.actor import an_id

ORIGIN = ClockOrigin(real_at=Micros(0), service_at=Micros(0), rate=1.0)


class Monotonic:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def test_an_illegal_move_raises_and_changes_nothing() -> None:
    life = host_lifecycle()
    with pytest.raises(IllegalTransition):
        life.move(HostState.RUNNING)
    assert life.state is HostState.STARTING


def test_nothing_leads_out_of_an_end() -> None:
    assert not HOST_TRANSITIONS[HostState.STOPPED]
    assert not HOST_TRANSITIONS[HostState.DEPOSED]


def test_service_time_is_accelerated_from_its_origin() -> None:
    monotonic = Monotonic()
    origin = ClockOrigin(real_at=Micros(10 * SECOND), service_at=Micros(1_000 * SECOND), rate=60.0)
    clock = ServiceClock(origin, Micros(12 * SECOND), monotonic)
    assert clock.now() == 1_120 * SECOND
    monotonic.at += 1
    assert clock.now() == 1_180 * SECOND
    assert clock.seconds_until(Micros(1_240 * SECOND)) == pytest.approx(1.0)


def test_a_stepped_store_clock_leads_ours_slowly_and_never_backwards() -> None:
    """Promise 6: a clock that jumps an hour moves us by a thousandth of the time that passes."""
    monotonic = Monotonic()
    clock = ServiceClock(ORIGIN, Micros(0), monotonic)
    last = clock.now()
    for _ in range(100):
        monotonic.at += 1
        clock.correct(Micros(last - 3_600 * SECOND))
        assert clock.now() > last
        last = clock.now()
    assert last == pytest.approx(99.9 * SECOND, abs=0.01 * SECOND)


def test_silence_counts_from_the_end_of_the_last_deafness() -> None:
    """R-PT-3"""
    monotonic = Monotonic()
    clock = ServiceClock(ORIGIN, Micros(0), monotonic)
    hearing = Hearing(clock)
    assert hearing.deaf
    monotonic.at += 10
    assert hearing.since(clock.now()) == clock.now()
    hearing.door_linked()
    linked_at = clock.now()
    monotonic.at += 10
    assert hearing.since(clock.now()) == linked_at
    hearing.lost(Deafness.IN_DOUBT)
    hearing.door_lost()
    hearing.regained(Deafness.IN_DOUBT)
    assert hearing.deaf
    hearing.door_linked()
    assert hearing.since(clock.now()) == clock.now()


def test_a_second_door_keeps_the_host_hearing() -> None:
    monotonic = Monotonic()
    hearing = Hearing(ServiceClock(ORIGIN, Micros(0), monotonic))
    hearing.door_linked()
    hearing.door_linked()
    hearing.door_lost()
    assert not hearing.deaf


def test_a_door_that_lost_its_link_or_found_none_has_clients_that_nobody_heard() -> None:
    """R-PT-3: one door of two is cut off; its clients beat, and are told to come back."""
    monotonic = Monotonic()
    clock = ServiceClock(ORIGIN, Micros(0), monotonic)
    hearing = Hearing(clock)
    hearing.door_linked()
    hearing.door_linked()
    monotonic.at += 10
    hearing.door_lost()
    assert hearing.since(clock.now()) == clock.now()
    monotonic.at += 10
    hearing.door_missed()
    assert hearing.since(clock.now()) == clock.now()
    assert not hearing.deaf


def pending(user: int = 1, command_id: int | None = None, answers: list[Reply] | None = None) -> Pending:
    replies = answers if answers is not None else []
    return Pending(
        user_id=UserId(an_id(user)),
        shard_id=ShardId(0),
        command=Heartbeat(SessionId(an_id(9))),
        respond=replies.append,
        deadline=1.0,
        command_id=None if command_id is None else CommandId(an_id(command_id)),
    )


def test_per_user_a_later_command_never_overtakes_an_earlier_one() -> None:
    """Promise 5"""
    mailbox = Mailbox(MailboxLimits())
    first, second, third, other = pending(), pending(), pending(), pending(user=2)
    mailbox.offer(first)
    (cut,) = mailbox.cut(10)
    mailbox.block(cut)
    for later in (second, other, third):
        mailbox.offer(later)
    assert mailbox.cut(10) == [other]
    mailbox.unblock(first.user_id)
    assert mailbox.cut(10) == [first, second, third]


async def test_who_wakes_the_commit_loop_between_its_wait_and_its_cut_is_heard() -> None:
    """Promise 6: shards that were loaded together are begun one a turn, by such wakes, also when nobody calls."""
    mailbox = Mailbox(MailboxLimits())
    mailbox.wake()
    async with asyncio.timeout(10):
        await mailbox.wait()
        mailbox.wake()
        assert mailbox.cut(10) == []
        await mailbox.wait()
    idle = asyncio.create_task(mailbox.wait())
    await asyncio.sleep(0)
    assert not idle.done(), "it does not turn without a reason"
    idle.cancel()


def test_a_full_mailbox_says_so_and_keeps_what_it_has() -> None:
    """Promise 6"""
    mailbox = Mailbox(MailboxLimits(per_entity=2, per_host=3))
    answers: list[Reply] = []
    for user in (1, 1, 1, 2, 3):
        mailbox.offer(pending(user, answers=answers))
    assert answers == [Overloaded("entity mailbox"), Overloaded("host mailbox")]
    assert len(mailbox.cut(10)) == 3


def test_the_same_command_id_in_flight_is_answered_by_the_first_attempt() -> None:
    """Promise 2"""
    mailbox = Mailbox(MailboxLimits())
    answers: list[Reply] = []
    first, again = pending(command_id=5, answers=answers), pending(command_id=5, answers=answers)
    again.deadline = 9.0
    mailbox.offer(first)
    mailbox.offer(again)
    assert mailbox.cut(10) == [first]
    assert first.deadline == 9.0
    mailbox.answer(first, Done())
    assert answers == [Done(), Done()]
    assert len(mailbox) == 0


def test_looks_come_when_their_second_has_passed_and_none_is_lost() -> None:
    wheel = DeadlineWheel()
    for number in range(10):
        wheel.add(Micros(number * SECOND // 2), UserId(an_id(1)), SessionId(an_id(number)))
    seen: list[SessionId] = []
    for now in range(0, 8 * SECOND, SECOND // 4):
        seen += [session for _, session in wheel.due(Micros(now), limit=2)]
    assert sorted(seen) == [an_id(number) for number in range(10)]
    assert len(wheel) == 0


def test_a_look_is_bounded_however_many_sessions_end_in_one_second() -> None:
    """Promise 7: after an outage a million deadlines may lie in one bucket."""
    wheel = DeadlineWheel()
    for number in range(1_000):
        wheel.add(Micros(SECOND // 2), UserId(an_id(number % 7)), SessionId(an_id(number)))
    seen: dict[SessionId, UserId] = {}
    while due := wheel.due(Micros(5 * SECOND), limit=64):
        assert len(due) <= 64
        assert len(wheel) == 1_000 - len(seen) - len(due)
        seen.update((session, user) for user, session in due)
    assert seen == {an_id(number): an_id(number % 7) for number in range(1_000)}


def test_an_entry_for_a_moment_that_is_past_comes_with_the_next_look() -> None:
    wheel = DeadlineWheel()
    wheel.due(Micros(100 * SECOND), limit=10)
    wheel.add(Micros(5 * SECOND), UserId(an_id(1)), SessionId(an_id(2)))
    assert wheel.due(Micros(101 * SECOND), limit=10) == [(an_id(1), an_id(2))]


@given(
    owners=st.dictionaries(st.integers(0, 255), st.integers(0, 6), min_size=1).map(
        lambda owners: {ShardId(shard): HostId(host) for shard, host in owners.items()}
    ),
    wanted=st.integers(1, 7),
)
def test_a_plan_spreads_shards_evenly_with_as_few_moves_as_can_be(owners: dict[ShardId, HostId], wanted: int) -> None:
    hosts = [HostId(number) for number in range(wanted)]
    moves = plan_moves(owners, hosts)
    after = {**owners, **{move.shard_id: move.to_host for move in moves}}
    sizes = [sum(owner == host for owner in after.values()) for host in hosts]
    assert sum(sizes) == len(owners)
    assert max(sizes) - min(sizes) <= 1
    assert all(owners[move.shard_id] == move.from_host != move.to_host for move in moves)
    assert plan_moves(after, hosts) == []
    share = -(-len(owners) // wanted)
    surplus = sum(max(0, sum(owner == host for owner in owners.values()) - share) for host in hosts)
    assert len(moves) <= surplus + wanted + sum(owner >= wanted for owner in owners.values())


def test_the_interval_grows_with_the_load_and_returns() -> None:
    """R-PT-10"""
    pace = Pace(Policy(heartbeat_interval_s=60))
    assert pace.interval_s() == 60
    for _ in range(100):
        pace.sample(1.0)
    assert pace.interval_s() == 240
    for _ in range(100):
        pace.sample(0.1)
    assert pace.interval_s() == 60


def test_a_journal_of_a_newer_release_is_refused() -> None:
    formats = release_formats()
    body = encode_body(formats, [(UserId(an_id(1)), [])])
    assert decode_body(formats, body) == [(an_id(1), [])]
    for unreadable in (b"\x02" + body[1:], b"", body[:-1] + b"\xff\xff"):
        with pytest.raises(UnreadableJournal):
            decode_body(formats, unreadable)


async def test_arrivals_during_a_batch_are_the_next_batch() -> None:
    batches: list[list[int]] = []
    release = asyncio.Event()

    async def process(keys: list[int]) -> None:
        batches.append(keys)
        await release.wait()

    batcher = NaturalBatcher(process, limit=10)
    batcher.add(1)
    await asyncio.sleep(0)
    for key in (2, 3, 2, 4):
        batcher.add(key)
    release.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert batches == [[1], [2, 3, 4]]
    await batcher.close()


def test_users_who_come_faster_than_a_sweep_sends_away_make_the_house_crowded() -> None:
    """Promise 6: memory is bounded by the limit, not by how often somebody looks."""
    territory, mailbox = Territory(), Mailbox(MailboxLimits())
    shard = Shard(ShardId(0), Term(1))
    territory.add(shard)
    residents = Residents(
        territory, FlushRows(Seq(0), release_formats(), mirrored=False), mailbox, idle_s=300, limit=10
    )
    for number in range(SWEEP + 50):
        shard.users[UserId(an_id(number))] = User(library=Library())
        residents.touch(UserId(an_id(number)), shard.shard_id, 0.0)
    assert residents.sweep(1.0) == SWEEP
    assert residents.crowded
    assert residents.sweep(1.0) == 40
    assert not residents.crowded
    assert set(shard.users) == {an_id(number) for number in range(SWEEP + 40, SWEEP + 50)}, "the latest stay"
