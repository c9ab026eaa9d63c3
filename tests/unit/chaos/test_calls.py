"""How `library chaos` tells what callers had to wait for, and in which order it breaks things."""

from collections import Counter
from itertools import islice
from pathlib import Path

import msgspec

from cluster.chaos.calls import Answered, Calls
from cluster.chaos.faults import FAULTS, KINDS
from cluster.chaos.main import schedule


async def test_every_attempt_is_a_line_of_the_history(tmp_path: Path) -> None:
    with Calls(tmp_path / "history.jsonl") as calls:
        call = calls.begin("user 1", "beat", "/heartbeat")
        calls.attempted(call, "503", took_s=0.1)
        calls.answered(call, "204", took_s=0.2, said="2024-03-15T10:00:00Z")
    lines = (tmp_path / "history.jsonl").read_bytes().splitlines()
    first, second = (msgspec.json.decode(line, type=Answered) for line in lines)
    assert (first.met, first.attempt, second.met, second.attempt) == ("503", 1, "204", 2)
    assert second.said == "2024-03-15T10:00:00Z"


async def test_what_a_fault_did_is_counted_from_its_mark_on(tmp_path: Path) -> None:
    with Calls(tmp_path / "history.jsonl") as calls:
        before = calls.begin("user 1", "beat", "/heartbeat")
        calls.attempted(before, "503", took_s=0.0)
        met = calls.mark()
        calls.attempted(before, "503", took_s=0.0, retry_after=False)
        calls.answered(before, "204", took_s=0.0)
    assert (met.counts, met.answered, met.without_retry_after) == (Counter({"503": 1}), Counter({"beat": 1}), 1)
    assert calls.total.counts["503"] == 2


async def test_who_waits_for_an_event_does_not_wait_for_an_answer(tmp_path: Path) -> None:
    """Kafka away must not look as if the API were."""
    with Calls(tmp_path / "history.jsonl") as calls:
        shown = calls.begin("user 1", "shown", "order")
        assert calls.longest_wait_s() == 0.0
        assert calls.longest_wait_s(events=True) >= 0.0
        beat = calls.begin("user 1", "beat", "/heartbeat")
        calls.end(shown)
        calls.answered(beat, "204", took_s=0.0)
        assert calls.longest_wait_s(events=True) == 0.0


def test_a_seed_breaks_every_kind_once_before_any_comes_again() -> None:
    chosen = list(islice(schedule(KINDS, 7), 2 * len(KINDS)))
    assert sorted(chosen[: len(KINDS)]) == sorted(chosen[len(KINDS) :]) == sorted(KINDS)
    assert chosen == list(islice(schedule(KINDS, 7), 2 * len(KINDS)))
    assert chosen != list(islice(schedule(KINDS, 8), 2 * len(KINDS)))


def test_each_kind_of_fault_has_one_name() -> None:
    assert len(set(KINDS)) == len(FAULTS)
