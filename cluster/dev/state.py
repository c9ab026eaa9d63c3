"""What a stack remembers between commands: ports, places and pids, in one small file.

The file is written whole and renamed into place, under a lock that other processes honour, so a command that is killed
at any moment leaves either the old or the new state. It names the directory it belongs to: a copied checkout
must not mistake the original's servers for its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.dev.errors import DevStackError

LOCK_TIMEOUT_S = 10.0


@contextmanager
def file_lock(path: Path, timeout_s: float, problem: str) -> Iterator[None]:
    """Holds an exclusive lock on `path`; raises DevStackError(`problem`) if another holds it for `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DevStackError("stack", problem) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(fd)


class State:
    """Sections of JSON values, one per part and concern; every read sees what other processes have written."""

    def __init__(self, directory: Path) -> None:
        self._directory = str(directory)
        self._file = directory / "state.json"
        self._lock_file = directory / "state.lock"
        self._threads = threading.Lock()

    def get(self, section: str) -> dict[str, Any]:
        """An absent section is an empty one."""
        values = self._read().get(section, {})
        return dict(values)

    def update(self, section: str, **values: Any) -> None:
        """Sets the given keys of a section and keeps its others."""
        with self._writing() as content:
            content.setdefault(section, {}).update(values)

    def remove(self, section: str) -> None:
        with self._writing() as content:
            content.pop(section, None)

    @contextmanager
    def _writing(self) -> Iterator[dict[str, Any]]:
        with self._threads, file_lock(self._lock_file, LOCK_TIMEOUT_S, f"{self._lock_file} is held by another command"):
            content = self._read()
            yield content
            content["directory"] = self._directory
            new_file = self._file.with_suffix(".new")
            fd = os.open(new_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(fd, "w") as stream:
                json.dump(content, stream, indent=1)
            new_file.replace(self._file)

    def _read(self) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise DevStackError("stack", f"{self._file} is not readable JSON ({error}); remove it") from None
        return content if content.get("directory") == self._directory else {}
