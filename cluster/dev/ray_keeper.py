"""Keeps Ray's head node whole when its GCS dies: `python -m cluster.dev.ray_keeper HOLD_FILE COMMAND...`

`ray start --block` ends the node with any of its processes. This runs the same command without `--block` and stays: a
GCS (or dashboard) that died is started again with its own command line, unless HOLD_FILE exists: so that a test can
leave it away for a while. Without its raylet there is no node, and it leaves.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import psutil

from cluster.dev.process import ProcessId, processes_where, start_token, wait_until_gone

PR_SET_CHILD_SUBREAPER = 36
POLL_S = 0.2
END_TIMEOUT_S = 6.0
START_TIMEOUT_S = 80.0


class Kept:
    """A process of the node that is started again when it is gone."""

    def __init__(self, process: ProcessId) -> None:
        self._process = process
        running = psutil.Process(process.pid)
        self._command, self._environment, self._directory = running.cmdline(), running.environ(), running.cwd()

    def alive(self) -> bool:
        return self._process.alive()

    def start(self) -> None:
        child = subprocess.Popen(
            self._command,
            env=self._environment,
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._process = ProcessId(pid=child.pid, started=start_token(child.pid) or "gone")


def main(arguments: Sequence[str]) -> int:
    hold, command = Path(arguments[0]), arguments[1:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans of the command are ours, so that they end
    signal.signal(signal.SIGTERM, _leave)
    status = subprocess.run(command, timeout=START_TIMEOUT_S, check=False).returncode
    if status:
        return status
    (raylet,) = _named("raylet")
    kept = [Kept(process) for name in ("gcs_server", "dashboard.py") for process in _named(name)]
    while raylet.alive():
        _reap()
        for process in kept:
            if not process.alive() and not hold.exists():
                process.start()
        time.sleep(POLL_S)
    print("the raylet is gone", flush=True)  # noqa: T201 - its log is its output
    return 1


def _named(name: str) -> list[ProcessId]:
    """Processes of this Unix session whose program (or script) is called so."""

    def matches(pid: int) -> bool:
        return os.getsid(pid) == os.getpid() and any(
            Path(word).name == name for word in psutil.Process(pid).cmdline()[:4]
        )

    return processes_where(matches)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    own = processes_where(lambda pid: os.getsid(pid) == os.getpid())
    for process in own:
        process.send(signal.SIGTERM)
    wait_until_gone(own, END_TIMEOUT_S)
    sys.exit(0)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
