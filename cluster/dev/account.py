"""The unprivileged account that a server runs as when the stack is started by root.

Postgres refuses to run as root, so it runs as an account that exists on practically every machine.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.dev.errors import DevStackError

CANDIDATES = ("postgres", "nobody")
CHECK_TIMEOUT_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Account:
    name: str
    uid: int
    gid: int

    def subprocess_arguments(self) -> dict[str, Any]:
        """Keyword arguments of `subprocess` that drop every privilege of root, supplementary groups too."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can(self, test: str, path: Path) -> bool:
        """`test` is an operator of test(1), such as `-x`: asked as that account, so every parent directory counts."""
        check = subprocess.run(
            ["/bin/sh", "-c", f'test {test} "$1"', "sh", str(path)],
            cwd="/",
            timeout=CHECK_TIMEOUT_S,
            check=False,
            **self.subprocess_arguments(),
        )
        return check.returncode == 0


def account_for_servers() -> Account | None:
    """None for an ordinary user, whose servers run as that user."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise DevStackError("postgres", f"cannot run as root and none of the accounts {', '.join(CANDIDATES)} exists")
