"""A small disk of Postgres' own, so that it can be full without hurting anybody: a file with ext4 in it, on a loop
device, mounted where only this process and its children see it. It is gone when they are."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

from cluster.dev.postgres_place import find_place
from cluster.dev.state import State

SIZE_BYTES = 4 * 1024**3
TOOL_TIMEOUT_S = 60.0
CLONE_NEWNS = 0x00020000
CHUNK_BYTES = 1 << 20


class CannotMount(Exception):
    """No small disk can be had here; the reason in one line."""


class SmallDisk:
    """Made by ``mount_for_postgres``. ``fill`` and ``free`` may be repeated; ``unmount`` before its directory goes."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._filler = home / "filler"

    def fill(self) -> None:
        """Until not a byte is left."""
        status = os.statvfs(self._filler.parent)
        with self._filler.open("ab") as filler:
            free = status.f_bavail * status.f_frsize
            try:
                os.posix_fallocate(filler.fileno(), filler.tell(), max(1, free - CHUNK_BYTES))
                while True:
                    os.write(filler.fileno(), bytes(4096))
            except OSError:
                return  # no space left, which was the aim

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    def unmount(self) -> None:
        """At once, whoever still looks at it."""
        _run("umount", "--lazy", str(self._home))


def mount_for_postgres(directory: Path) -> SmallDisk:
    """Before Postgres is started for the first time, and before this process has threads. ``CannotMount``."""
    missing = [tool for tool in ("mkfs.ext4", "mount") if shutil.which(tool, path=_path()) is None]
    if os.geteuid() != 0 or missing:
        raise CannotMount("only root can mount a small disk" if not missing else f"{missing[0]} is not installed")
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise CannotMount(f"no mounts of our own: {os.strerror(ctypes.get_errno())}")
    place = find_place(directory, State(directory))
    image = directory / "disk.img"
    with image.open("wb") as file:
        file.truncate(SIZE_BYTES)
    _run("mount", "--make-rprivate", "/")
    _run("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", str(image))
    _run("mount", "-o", "loop", str(image), str(place.home))
    place.give(place.home)
    place.home.chmod(0o700)
    return SmallDisk(place.home)


def _run(*command: str) -> None:
    try:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=TOOL_TIMEOUT_S,
            env={**os.environ, "PATH": _path()},
        )
    except (OSError, subprocess.SubprocessError) as failed:
        raise CannotMount(f"{command[0]} failed: {getattr(failed, 'stderr', None) or failed}") from failed


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
