"""One page of metrics for all processes of a node: what each shows, with a ``process`` label, in a stable order.

Gathering runs beside the loop's work, parsing in a thread: a page of many processes takes tens of milliseconds of
Python, which no heartbeat should wait for.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Sample

from actors.telemetry.exposition import read_socket, sockets_in
from actors.telemetry.names import SCRAPE_FAILURES

LIMIT_BYTES = 4 << 20


class NodeMetrics:
    """``page`` is meant for ``GET /metrics``; concurrent calls share one gathering."""

    def __init__(self, run_dir: Path, *, timeout_s: float) -> None:
        self._run_dir = run_dir
        self._timeout_s = timeout_s
        self._failures = 0
        self._gathering: asyncio.Task[bytes] | None = None

    async def page(self) -> tuple[bytes, str]:
        """The exposition and its content type, within about ``timeout_s``."""
        if self._gathering is None or self._gathering.done():
            self._gathering = asyncio.get_running_loop().create_task(self._gather())
        return await asyncio.shield(self._gathering), CONTENT_TYPE_LATEST

    async def _gather(self) -> bytes:
        sockets = sockets_in(self._run_dir)
        shown = await asyncio.gather(
            *(read_socket(path, timeout_s=self._timeout_s, limit_bytes=LIMIT_BYTES) for _, path in sockets)
        )
        texts: dict[str, str] = {}
        for (process, path), text in zip(sockets, shown, strict=True):
            if text is not None:
                texts[process if process not in texts else path.stem.removeprefix("metrics-")] = text.decode()
            elif path.exists():
                self._failures += 1
        return await asyncio.to_thread(merge, texts, self._failures)


def merge(texts: Mapping[str, str], failures: int = 0) -> bytes:
    """The pages of processes, by name, as one. Families and samples come in order of name, process and labels.

    A page that does not parse is left out and counted as a failure.
    """
    families: dict[str, Metric] = {}
    for process in sorted(texts):
        try:
            parsed = list(text_string_to_metric_families(texts[process]))
        except ValueError:
            failures += 1
            continue
        for family in parsed:
            merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            merged.samples.extend(_labelled(family.samples, process))
    failed = CounterMetricFamily(SCRAPE_FAILURES, "Processes that did not show their metrics in time", value=failures)
    families[failed.name] = failed
    return generate_latest(_Page(families[name] for name in sorted(families)))


def _labelled(samples: Iterable[Sample], process: str) -> Iterator[Sample]:
    for sample in samples:
        yield sample._replace(labels={"process": process, **sample.labels})


class _Page(CollectorRegistry):
    """What is already collected, in the shape that the exposition wants."""

    def __init__(self, families: Iterable[Metric]) -> None:
        super().__init__(auto_describe=False)
        self.register(_Collected(families))


class _Collected(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> list[Metric]:
        return self._families
