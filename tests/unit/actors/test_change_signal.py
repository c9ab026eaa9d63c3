"""Waking many without stopping everybody else."""

import asyncio
from functools import partial

from actors.change_signal import ChangeSignal
from actors.turns import PER_TURN, Turns


async def waiting(
    signal: ChangeSignal, count: int, woken: list[int], timeout_s: float = 5.0
) -> list[asyncio.Task[None]]:
    async def one(number: int) -> None:
        if await signal.wait(signal.version, timeout_s):
            woken.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_all_are_woken_a_few_in_a_turn_and_in_their_order() -> None:
    """Promise 7: the calls of a host that comes back must not stop those of the others."""
    signal, woken = ChangeSignal(), list[int]()
    tasks = await waiting(signal, 1_000, woken)
    signal.set()
    before = turns = 0
    while len(woken) < 1_000:
        await asyncio.sleep(0)
        assert len(woken) - before <= PER_TURN
        before, turns = len(woken), turns + 1
    assert woken == sorted(woken)
    assert turns >= 1_000 / PER_TURN
    await asyncio.gather(*tasks)


async def test_changes_while_some_are_still_to_be_woken_wake_everybody_once() -> None:
    signal, woken = ChangeSignal(), list[int]()
    first = await waiting(signal, 200, woken)
    signal.set()
    second = await waiting(signal, 200, woken)
    signal.set()
    before = len(woken)
    while len(woken) < 400:
        await asyncio.sleep(0)
        assert len(woken) - before <= PER_TURN
        before = len(woken)
    await asyncio.gather(*first, *second)


async def test_a_change_between_a_look_and_the_wait_is_not_missed() -> None:
    signal = ChangeSignal()
    seen = signal.version
    signal.set()
    assert await signal.wait(seen, 0.001)


async def test_a_callback_may_add_more() -> None:
    turns, done = Turns(), list[int]()

    def step(number: int) -> None:
        done.append(number)
        if number < 1_000:
            turns.add([partial(step, number + 500)])

    turns.add(partial(step, number) for number in range(500))
    while len(done) < 1_500:
        before = len(done)
        await asyncio.sleep(0)
        assert 0 < len(done) - before <= PER_TURN
    assert done == list(range(1_500))


async def test_who_waits_too_long_is_told_so_and_forgotten() -> None:
    signal, woken = ChangeSignal(), list[int]()
    await asyncio.gather(*await waiting(signal, 3, woken, timeout_s=0.001))
    signal.set()
    await asyncio.sleep(0)
    assert woken == []


async def test_a_waiter_that_gives_up_is_forgotten() -> None:
    """Promise 6: callers that are cancelled while a host stays away leave nothing behind."""
    signal = ChangeSignal()
    tasks = await waiting(signal, 100, [])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not signal._waiting


async def test_a_callback_that_fails_keeps_nobody_behind_it_waiting() -> None:
    called: list[int] = []
    turns = Turns()
    turns.add([lambda: 1 / 0, *(partial(called.append, number) for number in range(PER_TURN + 5))])
    await asyncio.sleep(0.01)
    turns.add([partial(called.append, -1)])
    await asyncio.sleep(0.01)
    assert len(called) == PER_TURN + 6
