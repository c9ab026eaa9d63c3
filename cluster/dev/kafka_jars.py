"""The jars of one Apache Kafka release, downloaded once per user of the machine.

The full list is pinned, as `requirements.lock` pins the Python side: nothing has to be resolved, so the jars come in
parallel and a release with another transitive dependency cannot slip in. To move to another release, resolve
`org.apache.kafka:kafka_2.13:<version>` and `org.slf4j:slf4j-simple:<version>` with `jgo` and replace the list.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from cluster.dev.errors import CancelledError, DevStackError
from cluster.dev.part import Progress
from cluster.dev.state import file_lock

RELEASE = "4.3.1"
TOTAL_BYTES = 46_000_000  # for the progress bar alone
DOWNLOADS_AT_ONCE = 6
DOWNLOAD_TIMEOUT_S = 60
LOCK_TIMEOUT_S = 600.0
NAME = "kafka"

COORDINATES = (
    "at.yawk.lz4:lz4-java:1.10.2",
    "com.dynatrace.hash4j:hash4j:0.22.0",
    "com.fasterxml.jackson.core:jackson-annotations:2.21",
    "com.fasterxml.jackson.core:jackson-core:2.21.2",
    "com.fasterxml.jackson.core:jackson-databind:2.21.2",
    "com.fasterxml.jackson.dataformat:jackson-dataformat-csv:2.21.2",
    "com.fasterxml.jackson.dataformat:jackson-dataformat-yaml:2.21.2",
    "com.fasterxml.jackson.datatype:jackson-datatype-jdk8:2.21.2",
    "com.github.ben-manes.caffeine:caffeine:3.2.0",
    "com.github.luben:zstd-jni:1.5.6-10",
    "com.google.re2j:re2j:1.8",
    "com.typesafe.scala-logging:scala-logging_2.13:3.9.6",
    "com.yammer.metrics:metrics-core:2.2.0",
    "commons-beanutils:commons-beanutils:1.11.0",
    "commons-collections:commons-collections:3.2.2",
    "commons-digester:commons-digester:2.1",
    "commons-logging:commons-logging:1.3.5",
    "commons-validator:commons-validator:1.10.1",
    "net.sf.jopt-simple:jopt-simple:5.0.4",
    "net.sourceforge.argparse4j:argparse4j:0.7.0",
    "org.apache.kafka:kafka-clients:4.3.1",
    "org.apache.kafka:kafka-coordinator-common:4.3.1",
    "org.apache.kafka:kafka-group-coordinator:4.3.1",
    "org.apache.kafka:kafka-group-coordinator-api:4.3.1",
    "org.apache.kafka:kafka-metadata:4.3.1",
    "org.apache.kafka:kafka-raft:4.3.1",
    "org.apache.kafka:kafka-server:4.3.1",
    "org.apache.kafka:kafka-server-common:4.3.1",
    "org.apache.kafka:kafka-share-coordinator:4.3.1",
    "org.apache.kafka:kafka-storage:4.3.1",
    "org.apache.kafka:kafka-storage-api:4.3.1",
    "org.apache.kafka:kafka-tools-api:4.3.1",
    "org.apache.kafka:kafka-transaction-coordinator:4.3.1",
    "org.apache.kafka:kafka_2.13:4.3.1",
    "org.apache.logging.log4j:log4j-api:2.25.4",
    "org.apache.logging.log4j:log4j-core:2.25.4",
    "org.bitbucket.b_c:jose4j:0.9.6",
    "org.hdrhistogram:HdrHistogram:2.2.2",
    "org.jspecify:jspecify:1.0.0",
    "org.pcollections:pcollections:4.0.2",
    "org.scala-lang:scala-library:2.13.18",
    "org.scala-lang:scala-reflect:2.13.18",
    "org.slf4j:slf4j-api:1.7.36",
    "org.slf4j:slf4j-simple:1.7.36",
    "org.xerial.snappy:snappy-java:1.1.10.7",
    "org.yaml:snakeyaml:2.5",
)


def kafka_jars(fallback: Path, progress: Progress, is_cancelled: Callable[[], bool]) -> list[Path]:
    """All jars in a fixed order, downloaded first if any is missing; raises DevStackError.

    They are kept in the user's cache directory, or in `fallback` if that cannot be written.
    """
    folder = _cache_directory(fallback) / f"kafka-{RELEASE}"
    jars = [folder / _file_name(coordinate) for coordinate in COORDINATES]
    if all(jar.exists() for jar in jars):
        return jars
    folder.mkdir(parents=True, exist_ok=True)
    with file_lock(folder / ".lock", LOCK_TIMEOUT_S, f"another command is still downloading Kafka into {folder}"):
        missing = [name for name, jar in zip(COORDINATES, jars, strict=True) if not jar.exists()]
        if missing:
            _download(missing, folder, progress, is_cancelled)
    return jars


def _cache_directory(fallback: Path) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "library-service"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return fallback
    return cache if os.access(cache, os.W_OK | os.X_OK) else fallback


def _file_name(coordinate: str) -> str:
    _, artifact, version = coordinate.split(":")
    return f"{artifact}-{version}.jar"


def _download(names: list[str], folder: Path, progress: Progress, is_cancelled: Callable[[], bool]) -> None:
    """Each jar is complete and verified before it gets its name, so a broken download never looks like a jar."""
    from jgo.maven import MavenContext, PythonResolver

    received = 0

    @contextmanager
    def count(_name: str, _size_bytes: int) -> Iterator[Callable[[int], None]]:
        def add(size_bytes: int) -> None:
            nonlocal received
            received += size_bytes  # counted by several threads: a lost update only makes the bar late
            if is_cancelled():
                raise CancelledError(NAME, "download cancelled")
            fraction = min(received / TOTAL_BYTES, 1.0)
            progress(NAME, f"downloading Kafka {RELEASE} (once, {TOTAL_BYTES // 1_000_000} MB)", fraction)

        yield add

    staging = Path(tempfile.mkdtemp(prefix=".download-", dir=folder))
    mismatches = _Mismatches()
    logging.getLogger("jgo").addHandler(mismatches)
    try:
        context = MavenContext(
            repo_cache=staging,
            resolver=PythonResolver(progress_callback=count),
            timeout=DOWNLOAD_TIMEOUT_S,
        )

        def fetch(coordinate: str) -> Path:
            return Path(context.create_dependency(coordinate).artifact.resolve())

        with ThreadPoolExecutor(max_workers=DOWNLOADS_AT_ONCE) as pool:
            downloaded = list(pool.map(fetch, names))
        if mismatches.seen:
            raise DevStackError(NAME, f"a downloaded jar is damaged: {mismatches.seen[0]}; try again")
        for jar in downloaded:
            jar.replace(folder / jar.name)
    except (OSError, RuntimeError) as error:
        problem = f"its jars cannot be downloaded ({error}); the first start needs the network"
        raise DevStackError(NAME, problem) from error
    finally:
        logging.getLogger("jgo").removeHandler(mismatches)
        shutil.rmtree(staging, ignore_errors=True)


class _Mismatches(logging.Handler):
    """jgo only warns about a jar whose checksum is wrong; here that is an error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message.startswith("Checksum mismatch"):
            self.seen.append(message)
