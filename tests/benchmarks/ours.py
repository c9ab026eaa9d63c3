"""Our service under test: as ``library run`` starts it, with tokens as in production.

Two settings differ from a player's life, so that a session can be beaten again and again within the run: clients are
told to beat every second (beats closer than a tenth of the interval are not journaled), and silence ends a session
after an hour. Whether every acknowledged beat was journaled is checked.
"""

import re
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from actors.telemetry import names
from cluster.dev.process import session_of
from cluster.development import development_settings, run_dir
from cluster.settings import Settings
from cluster.settings.sections import Cluster, Server
from tests.benchmarks.failure import BenchmarkFailed
from tests.benchmarks.options import Options
from tests.support.running_service import RunningService

CONFIGURATION = """
playtime_tracking:
  heartbeat_interval_seconds: 1
  session_timeout_inactive_seconds: 3600
"""
BEATS, COMMITS, FLUSHED_ROWS = "beats journaled", "commits", "rows flushed"
SCRAPE_TIMEOUT_S = 10
FLUSH_TIMEOUT_S = 60
BACKENDS = "select pid || ' ' || application_name from pg_stat_activity where backend_type = 'client backend'"
_SOCKET = re.compile(r"metrics-([a-z-]+?)(?:-\d+)*-(\d+)\.sock")
_BACKEND_LABELS = (
    (re.compile(r"library-host-\d+-journal"), "postgres: journal"),
    (re.compile(r"library-host-\d+-flush"), "postgres: flush"),
)


class OurService:
    """``start`` and ``destroy`` once each."""

    name = "library"
    settle_s = 1.2

    def __init__(self, directory: Path, jwks_file: Path, options: Options) -> None:
        configuration = directory / "bench.yaml"
        configuration.write_text(CONFIGURATION)
        doors = str(options.doors or Server().max_doors)
        self.running = RunningService(
            directory,
            LIBRARY_CONFIG_FILE=str(configuration),
            AUTH_JWKS_FILE=str(jwks_file),
            LIBRARY_HOSTS=str(options.hosts or Cluster().hosts),
            LIBRARY_MIN_DOORS=doors,
            LIBRARY_MAX_DOORS=doors,
        )
        self.url = self.running.url
        self.stack = self.running.stack

    def settings(self) -> Settings:
        return development_settings(self.running.environment(), self.stack)

    def processes(self) -> Mapping[int, str]:
        labels: dict[int, str] = {}
        for part, label in (
            (self.stack.ray, "ray"),
            (self.stack.kafka, "kafka"),
            (self.stack.postgres, "postgres: rest"),
        ):
            identity = part.process.identity
            if identity is not None:
                labels |= dict.fromkeys((identity.pid, *(one.pid for one in session_of(identity))), label)
        if self.stack.postgres.pid is not None:
            children = psutil.Process(self.stack.postgres.pid).children(recursive=True)
            labels |= {child.pid: "postgres: rest" for child in children}
        labels |= self._backends()
        labels |= dict.fromkeys(self._runners(), "library run")
        return labels | {pid: process for process, pid in self._own_processes()}

    def host_pids(self) -> list[int]:
        return [pid for process, pid in self._own_processes() if process == "host"]

    def figure(self, name: str, **labels: str) -> float:
        """The sum over all processes of one of our metrics."""
        return sum(
            sample.value
            for sample in self._samples(name)
            if all(sample.labels.get(label) == value for label, value in labels.items())
        )

    def _samples(self, name: str) -> list[Sample]:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=SCRAPE_TIMEOUT_S) as answer:
            page = answer.read().decode()
        return [
            sample
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name in (name, f"{name}_total")
        ]

    def slowest(self, name: str, by: str) -> dict[str, float]:
        """The highest sample over all processes of one of our metrics, for each value of a label."""
        highest: dict[str, float] = {}
        for sample in self._samples(name):
            value = sample.labels[by]
            highest[value] = max(highest.get(value, 0.0), sample.value)
        return highest

    def counters(self) -> Mapping[str, float]:
        return {
            BEATS: self.figure(names.HOST_EVENTS, type="HeartbeatAccepted"),
            COMMITS: self.figure(names.HOST_COMMITS, outcome="done"),
            FLUSHED_ROWS: self.figure(names.HOST_FLUSHED_ROWS),
        }

    def live_sessions(self) -> int:
        return int(self.figure(names.HOST_LIVE_SESSIONS))

    def wait_until_flushed(self, sessions: int) -> None:
        """Until the tables have so many live sessions, and a moment of quiet after it."""
        deadline = time.monotonic() + FLUSH_TIMEOUT_S
        counting = "select count(*) from playtime_sessions where end_time is null"
        while int(self.stack.postgres.execute(counting)) != sessions:
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"the tables do not show {sessions} live sessions")
            time.sleep(0.3)
        time.sleep(self.settle_s)

    def _own_processes(self) -> list[tuple[str, int]]:
        found = []
        for path in run_dir(self.running.directory).glob("metrics-*.sock"):
            match = _SOCKET.fullmatch(path.name)
            if match is not None and psutil.pid_exists(int(match[2])):
                found.append((match[1], int(match[2])))
        return found

    def _backends(self) -> dict[int, str]:
        labels = {}
        for line in self.stack.postgres.execute(BACKENDS).splitlines():
            pid, _, application = line.partition(" ")
            for pattern, label in _BACKEND_LABELS:
                if pattern.fullmatch(application):
                    labels[int(pid)] = label
        return labels

    def _runners(self) -> list[int]:
        directory = str(self.running.directory)
        return [child.pid for child in psutil.Process().children() if {"run", directory} <= set(child.cmdline())]
