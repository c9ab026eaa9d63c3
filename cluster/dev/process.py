"""One server process: started in a session of its own, known by pid *and* start time, ended by pid.

A pid alone may belong to somebody else by the time it is read back, so a process is remembered with a token of its
start (boot and clock tick) and is left alone whenever the token differs.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from cluster.dev.account import Account
from cluster.dev.errors import CancelledError, DevStackError
from cluster.dev.state import State

LOG_LINES = 15
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
LOG_KEPT_BYTES = 4 * 1024 * 1024
POLL_S = 0.03


@dataclass(frozen=True, kw_only=True)
class ProcessId:
    pid: int
    started: str

    def alive(self) -> bool:
        return start_token(self.pid) == self.started

    def send(self, sig: signal.Signals) -> None:
        """Does nothing if the process is gone, or the pid is somebody else's by now."""
        if self.alive():
            try:
                os.kill(self.pid, sig)
            except ProcessLookupError:
                return


def start_token(pid: int) -> str | None:
    """What tells this process from a later one with the same pid; None if it is gone or only waits to be reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # a killed process is a zombie before its last thread is gone, and only then are its ports and files free
        ended = stat[0] == b"X" or (stat[0] == b"Z" and int(stat[17]) <= 1)
        return None if ended else f"{boot}/{int(stat[19])}"
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{int(psutil.boot_time())}/{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None


def processes_where(matches: Callable[[int], bool]) -> list[ProcessId]:
    """Every living process but this one for which `matches(pid)`; those that vanish or are hidden do not match."""
    found = []
    for pid in psutil.pids():
        token = start_token(pid) if pid not in (0, os.getpid()) else None
        if token is None:
            continue
        try:
            if matches(pid):
                found.append(ProcessId(pid=pid, started=token))
        except (psutil.Error, OSError):
            continue
    return found


def session_of(leader: ProcessId) -> list[ProcessId]:
    """The living processes of the Unix session that `leader` began, without the leader, which may be gone.

    The kernel gives no pid to another process while a session of that number lives, so members of our session are
    those that started after the leader, in the same boot, unless its pid has another owner by now.
    """
    if start_token(leader.pid) not in (None, leader.started):
        return []
    boot, _, tick = leader.started.partition("/")
    found = processes_where(lambda pid: pid != leader.pid and os.getsid(pid) == leader.pid)
    return [
        process
        for process in found
        if process.started.partition("/")[0] == boot and float(process.started.partition("/")[2]) >= float(tick)
    ]


def wait_until_gone(processes: Iterable[ProcessId], timeout_s: float) -> list[ProcessId]:
    """Those still alive after `timeout_s`."""
    left = list(processes)
    deadline = time.monotonic() + timeout_s
    while left and time.monotonic() < deadline:
        left = [process for process in left if process.alive()]
        if left:
            time.sleep(POLL_S)
    return left


class ServerProcess:
    """The leading process of one part; its identity is in the state file from the moment it exists."""

    def __init__(self, name: str, state: State, log_file: Path, is_cancelled: Callable[[], bool]) -> None:
        self._name = name
        self._section = f"process.{name}"
        self._state = state
        self._is_cancelled = is_cancelled
        self._child: subprocess.Popen[bytes] | None = None
        self.log_file = log_file

    @property
    def identity(self) -> ProcessId | None:
        """The process that was started last, whatever became of it."""
        saved = self._state.get(self._section)
        return ProcessId(pid=saved["pid"], started=saved["started"]) if saved else None

    @property
    def ended(self) -> bool:
        """It was ended on purpose, or is being ended right now, perhaps by another command."""
        return bool(self._state.get(self._section).get("ended", True))

    def expect_end(self, expected: bool) -> None:
        """Whether a watcher may take its end for one that was wanted."""
        self._state.update(self._section, ended=expected)

    def alive(self) -> bool:
        if self._child is not None:
            self._child.poll()
        identity = self.identity
        return identity is not None and identity.alive()

    def spawn(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, account: Account | None = None) -> None:
        """Starts it detached from this command's terminal, so that Ctrl-C reaches only the command."""
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_KEPT_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.old"))
        with self.log_file.open("ab") as log:
            offset = log.tell()
            try:
                self._child = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=dict(env),
                    cwd=cwd,
                    start_new_session=True,
                    **(account.subprocess_arguments() if account else {}),
                )
            except OSError as error:
                raise DevStackError(self._name, f"cannot be started: {error}") from error
        token = start_token(self._child.pid)
        if token is None:
            raise DevStackError(self._name, "ended as soon as it was started", self.tail())
        self._state.update(self._section, pid=self._child.pid, started=token, log_offset=offset, ended=False)

    def wait_ready(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Returns when `ready()`; raises DevStackError with the end of the log if it dies or takes longer."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.alive():
                raise DevStackError(self._name, "died while starting", self.tail())
            if self._is_cancelled():
                raise CancelledError(self._name, "start cancelled")
            if time.monotonic() > deadline:
                raise DevStackError(self._name, f"not ready after {timeout_s:.0f} s", self.tail())
            time.sleep(POLL_S)

    def end(self, sig: signal.Signals, grace_s: float) -> None:
        """Asks with `sig`, insists with SIGKILL after `grace_s`; returns when the process is gone."""
        identity = self.identity
        if identity is None:
            return
        self._state.update(self._section, ended=True)
        identity.send(sig)
        if wait_until_gone([identity], grace_s):
            identity.send(signal.SIGKILL)
            if wait_until_gone([identity], grace_s):
                raise DevStackError(self._name, f"process {identity.pid} does not end, not even by SIGKILL")
        self._reap()

    def kill(self) -> None:
        """SIGKILL, and nothing else: the state still names it, so `alive()` is false and a watcher sees a death."""
        identity = self.identity
        if identity is not None:
            identity.send(signal.SIGKILL)
            wait_until_gone([identity], 10.0)
        self._reap()

    def tail(self, lines: int = LOG_LINES) -> tuple[str, ...]:
        """The last lines it wrote since its latest start."""
        return tuple(COLOURS.sub("", self.output()).rstrip().splitlines()[-lines:])

    def output(self) -> str:
        """What it wrote since its latest start, its last 64 KiB at most."""
        if not self.log_file.exists():
            return ""
        offset = int(self._state.get(self._section).get("log_offset", 0))
        with self.log_file.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(offset if offset <= size else 0, size - 65_536))
            return log.read().decode(errors="replace")

    def _reap(self) -> None:
        if self._child is not None:
            self._child.poll()
