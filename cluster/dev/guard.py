"""Ends a stack when the process that asked for it is gone, even by SIGKILL: for tests, whose directories nobody finds.

The guard is a small process that holds the reading end of a pipe; its owner never writes, so the pipe ends when, and
only when, the owner does.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cluster.dev.errors import DevStackError
from cluster.dev.stack import DevStack


def destroy_with_this_process(directory: Path) -> subprocess.Popen[bytes]:
    """The stack in `directory` and its data are removed after this process; keep the result alive until then.

    Destroying it earlier is fine. Close the result's `stdin` and wait for it to end the guard itself.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "cluster.dev.guard", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main() -> int:
    sys.stdin.buffer.read()
    directory = Path(sys.argv[1])
    if directory.exists():
        try:
            DevStack(directory).destroy()
        except DevStackError:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
