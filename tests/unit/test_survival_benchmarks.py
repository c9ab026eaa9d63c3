"""What the benchmarks of dying hosts compute with: wrong arithmetic there would look like a good figure."""

import asyncio
from array import array
from pathlib import Path

import pytest

from actors.domain.ids import HostId
from tests.benchmarks.survival import open_loop
from tests.benchmarks.survival.open_loop import UNANSWERED, Client, content_length
from tests.benchmarks.survival.outages import AFTER_S, Kill, judge
from tests.benchmarks.survival.outcomes import ACCEPTED, Record, percentile, read_record, summary
from tests.benchmarks.survival.plot import plot

RATE = 100
HOMES = [HostId(0), HostId(1)]
ANSWER = b"HTTP/1.1 204 No Content\r\nServer: test\r\n\r\n"
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 7\r\n\r\nrefused"


def a_run(seconds: int, away: tuple[float, float]) -> Record:
    """Users of two hosts in turn; those of host 1 wait until it is back, the others take 5 ms, 9 ms meanwhile."""
    took = []
    for number in range(seconds * RATE):
        at = number / RATE
        waits = away[0] <= at < away[1]
        of_killed = HOMES[number % 2] == HostId(1)
        took.append(int((away[1] - at) * 1e6) if waits and of_killed else 9_000 if waits else 5_000)
    return Record(late_us=[100] * len(took), took_us=took, status=[ACCEPTED] * len(took))


def test_users_of_the_others_and_of_the_killed_host_are_judged_apart() -> None:
    kills = [Kill(host_id=HostId(1), at_s=5.0)]
    found = judge(a_run(20, (5.0, 7.5)), HOMES, kills, rate=RATE)
    assert kills[0].back_s == pytest.approx(7.5, abs=1 / RATE)
    window = (2.5 + AFTER_S) * RATE / 2
    assert found["others_while_away"]["requests"] == pytest.approx(window, abs=2)
    assert found["killed_while_away"]["requests"] == pytest.approx(window, abs=2)
    assert (found["others_while_away"]["p50_ms"], found["others_while_away"]["max_ms"]) == (9, 9)
    assert found["killed_while_away"]["max_ms"] == pytest.approx(2_500, abs=20)
    assert found["nobody_away"]["max_ms"] == 5
    assert found["away_s"] == {"shortest": 2.5, "longest": 2.5, "not_back": 0}
    assert found["others_by_kill_p99_ms"] == {"5": 9}


def test_what_was_refused_or_never_answered_is_in_the_percentiles() -> None:
    """A service that refuses quickly must not look like a quick one, nor one that never answers."""
    record = Record(late_us=[0] * 4, took_us=[1_000, 2_000, 12_000_000, 3_000], status=[ACCEPTED, 503, UNANSWERED, 204])
    assert summary(record) == {
        "requests": 4,
        "not_accepted": 2,
        "p50_ms": 2,
        "p95_ms": 12_000,
        "p99_ms": 12_000,
        "max_ms": 12_000,
        "client_late_p99_ms": 0,
    }


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert [percentile(list(range(1, 101)), share) for share in (0.01, 0.5, 0.99, 1)] == [1, 50, 99, 100]
    assert (percentile([7], 0.99), percentile([], 0.5)) == (7, 0)


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    kills = [Kill(host_id=HostId(1), at_s=5.0, back_s=7.5)]
    plot(tmp_path / "plot.png", a_run(10, (5.0, 7.5)), HOMES, kills, rate=RATE)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    with (tmp_path / "record").open("wb") as file:
        for column in ([1, 2], [3, -4], [204, -1]):
            array("q", column).tofile(file)
    record = read_record(tmp_path / "record")
    assert (list(record.late_us), list(record.took_us), list(record.status)) == ([1, 2], [3, -4], [204, -1])


class SlowServer:
    """Answers nothing before ``go``; each request on its connection in turn."""

    def __init__(self, answers: list[bytes]) -> None:
        self.go = asyncio.Event()
        self.arrived = 0
        self._answers = answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            answer = self._answers[self.arrived % len(self._answers)]
            self.arrived += 1
            await self.go.wait()
            writer.write(answer[:20])
            await writer.drain()
            writer.write(answer[20:])
            if answer is REFUSAL:
                writer.close()
                return


async def test_requests_leave_although_earlier_ones_wait_and_waiting_counts() -> None:
    """Open loop: one connection at first, and nothing is answered before the last request has left."""
    server = SlowServer([ANSWER, REFUSAL])
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    starts_at = asyncio.get_running_loop().time() + 0.1
    client = Client([b"GET / HTTP/1.1\r\n\r\n"], port, rate=RATE, count=20, starts_at=starts_at)
    running = asyncio.create_task(client.run(connections=1))
    async with asyncio.timeout(20):
        while server.arrived < 20:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.005)
        server.go.set()
        await running
    assert sorted(client.status) == [204] * 10 + [503] * 10
    assert client.took_us[0] > client.took_us[-1] + 100_000, "the first waited for as long as the last had not left"
    assert all(took >= late >= 0 for took, late in zip(client.took_us, client.late_us, strict=True))
    listening.close()


async def test_waiting_for_a_free_connection_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_loop, "MAX_CONNECTIONS", 1)
    server = SlowServer([ANSWER])
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    starts_at = asyncio.get_running_loop().time() + 0.1
    client = Client([b"GET / HTTP/1.1\r\n\r\n"], port, rate=RATE, count=20, starts_at=starts_at)
    running = asyncio.create_task(client.run(connections=1))
    async with asyncio.timeout(20):
        while client._next < 20:  # noqa: ASYNC110 - the client has no event for it
            await asyncio.sleep(0.005)
        server.go.set()
        await running
    assert server.arrived == 20
    assert client.late_us[1] > 150_000, "the second had to wait until the first was answered"
    assert all(took >= late for took, late in zip(client.took_us, client.late_us, strict=True))
    listening.close()


def test_a_body_belongs_to_its_answer() -> None:
    assert content_length(b"HTTP/1.1 503 X\r\nCONTENT-length: 12\r\nA: b") == 12
    assert content_length(b"HTTP/1.1 204 No Content\r\nA: b") == 0
