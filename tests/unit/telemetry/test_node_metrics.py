"""All processes of a node behind one page (R-OBS-1)."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from actors.telemetry.counting import PlainHistogram
from actors.telemetry.exposition import MetricsSocket, new_registry, sockets_in
from actors.telemetry.merge import NodeMetrics, merge


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """Short, because a unix socket's path is."""
    with TemporaryDirectory(prefix="lib-") as path:
        yield Path(path)


def registry(commits: int) -> CollectorRegistry:
    made = CollectorRegistry()
    Counter("commits", "Commits", ["host"], registry=made).labels("1").inc(commits)
    Gauge("depth", "Depth\nof \\ things", registry=made).set(commits / 2)
    Histogram("seconds", "Seconds", buckets=(0.1, 1.0), registry=made).observe(0.5)
    return made


def samples(page: bytes) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("process", "")): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
        if sample.labels.get("le", "+Inf") == "+Inf"
    }


async def page_of(run_dir: Path, timeout_s: float = 5.0) -> bytes:
    return (await NodeMetrics(run_dir, timeout_s=timeout_s).page())[0]


async def test_processes_are_told_apart_by_their_name(run_dir: Path) -> None:
    """R-OBS-1: Prometheus, all processes of a node."""
    one = MetricsSocket(registry(3), run_dir=run_dir, process="host-1")
    two = MetricsSocket(registry(5), run_dir=run_dir, process="door")
    await one.start()
    await two.start()
    found = samples(await page_of(run_dir))
    assert found["commits_total", "host-1"] == 3
    assert found["commits_total", "door"] == 5
    assert found["depth", "host-1"] == 1.5
    assert found["seconds_count", "door"] == 1
    assert found["seconds_bucket", "door"] == 1
    await one.close()
    assert ("commits_total", "host-1") not in samples(await page_of(run_dir))
    await two.close()
    assert sockets_in(run_dir) == []


async def test_a_page_is_the_same_however_processes_are_listed() -> None:
    """A stable order; each family once, with its type and words."""
    texts = {"b": "# HELP x_total X\n# TYPE x_total counter\nx_total 1\n", "a": "# TYPE y gauge\ny 2\n"}
    page = merge(texts)
    assert page == merge(dict(reversed(texts.items())))
    assert page.count(b"# TYPE x_total counter") == 1
    twice = merge({"a": texts["b"], "b": texts["b"]}).decode()
    assert twice.count("# TYPE x_total") == 1
    assert twice.index('process="a"') < twice.index('process="b"')


async def test_a_process_that_hangs_costs_the_deadline_and_is_counted(run_dir: Path) -> None:
    """Every wait has a deadline."""
    good = MetricsSocket(registry(1), run_dir=run_dir, process="good")
    await good.start()
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(run_dir / "metrics-hanging-1.sock"))
        hanging.listen()
        found = samples(await page_of(run_dir, timeout_s=0.2))
    assert found["commits_total", "good"] == 1
    assert found["library_metrics_scrape_failures_total", ""] == 1
    await good.close()


async def test_what_a_killed_process_left_behind_is_removed(run_dir: Path) -> None:
    """By the next scrape, and by the next process of that name."""
    for process in ("gone", "again"):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(run_dir / f"metrics-{process}-1.sock"))
    again = MetricsSocket(registry(1), run_dir=run_dir, process="again")
    await again.start()
    assert [path.name for _, path in sockets_in(run_dir)] == [
        f"metrics-again-{os.getpid()}.sock",
        "metrics-gone-1.sock",
    ]
    found = samples(await page_of(run_dir))
    assert [path.name for _, path in sockets_in(run_dir)] == [f"metrics-again-{os.getpid()}.sock"]
    assert found["library_metrics_scrape_failures_total", ""] == 0
    await again.close()


async def test_what_is_not_an_exposition_is_left_out_and_counted() -> None:
    found = samples(merge({"bad": 'x{ 1 "', "good": "# TYPE y gauge\ny 2\n"}))
    assert found["y", "good"] == 2
    assert found["library_metrics_scrape_failures_total", ""] == 1


async def test_other_files_in_the_directory_are_nobodys(run_dir: Path) -> None:
    (run_dir / "metrics.txt").write_text("x")
    (run_dir / "metrics-a-b.sock").write_text("x")
    assert sockets_in(run_dir) == []
    assert sockets_in(run_dir / "absent") == []


async def test_concurrent_scrapes_are_one(run_dir: Path) -> None:
    shown = MetricsSocket(registry(1), run_dir=run_dir, process="a")
    await shown.start()
    metrics = NodeMetrics(run_dir, timeout_s=5)
    pages = await asyncio.gather(*(metrics.page() for _ in range(5)))
    assert len({id(page) for page, _ in pages}) == 1
    assert pages[0][1].startswith("text/plain")
    await shown.close()


@pytest.mark.parametrize("process", ["", "a/b", "a b", "x" * 200])
def test_a_name_that_cannot_be_a_sockets_is_refused(run_dir: Path, process: str) -> None:
    with pytest.raises(ValueError, match=r"process name|too long"):
        MetricsSocket(registry(1), run_dir=run_dir, process=process)


def test_a_new_registry_shows_the_process_itself() -> None:
    assert new_registry().get_sample_value("process_resident_memory_bytes")


def test_plain_counting_gives_prometheus_buckets() -> None:
    """Cumulative, bounds inclusive."""
    histogram = PlainHistogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 2.0):
        histogram.observe(value)
    assert histogram.buckets() == [("0.1", 2.0), ("1.0", 3.0), ("+Inf", 4.0)]
    assert histogram.total == pytest.approx(2.65)
