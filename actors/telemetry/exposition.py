"""A process shows its own metrics on a unix socket in the node's run directory; any door gathers them (``merge``).

The file's name says whose they are: ``metrics-<process>-<pid>.sock``. Whoever connects gets the text exposition and
the end of the stream. A process that was killed leaves its file behind; the next one of that name, or the next scrape,
removes it when nobody listens any more.
"""

import asyncio
import contextlib
import logging
import os
import re
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

_log = logging.getLogger(__name__)

MAX_SOCKET_PATH = 107
"""What the kernel takes as a unix socket's path, in bytes."""

SEND_TIMEOUT_S = 5.0

_SOCKET = re.compile(r"metrics-([A-Za-z0-9_.-]+)-(\d+)\.sock")


def new_registry() -> CollectorRegistry:
    """A registry of this process' own: its CPU, memory and descriptors are in it already."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


def socket_path(run_dir: Path, process: str, pid: int) -> Path:
    """``ValueError`` for a name that cannot be a file's, or a path that is too long for a socket."""
    path = run_dir / f"metrics-{process}-{pid}.sock"
    if _SOCKET.fullmatch(path.name) is None:
        raise ValueError(f"not a process name: {process!r}")
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise ValueError(f"the run directory's path is too long for a socket: {path}")
    return path


def sockets_in(run_dir: Path) -> list[tuple[str, Path]]:
    """Process name and socket of every process that may be there, in order of name and pid."""
    found = []
    for path in run_dir.iterdir() if run_dir.is_dir() else ():
        if (match := _SOCKET.fullmatch(path.name)) is not None:
            found.append((match[1], int(match[2]), path))
    return [(process, path) for process, _, path in sorted(found)]


class MetricsSocket:
    """Owned by one event loop. ``start`` and ``close`` once each."""

    def __init__(self, registry: CollectorRegistry, *, run_dir: Path, process: str) -> None:
        self._registry = registry
        self._run_dir = run_dir
        self.path = socket_path(run_dir, process, os.getpid())
        self._process = process
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._run_dir.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        await self._remove_stale()
        self._server = await asyncio.start_unix_server(self._show, path=self.path)
        self.path.chmod(0o600)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.path.unlink(missing_ok=True)

    async def _remove_stale(self) -> None:
        for process, path in sockets_in(self._run_dir):
            if process == self._process:
                await read_socket(path, timeout_s=SEND_TIMEOUT_S, limit_bytes=1)

    async def _show(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(generate_latest(self._registry))
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await writer.drain()
        except (OSError, TimeoutError) as error:
            _log.debug("a scrape was not read to its end: %s", error)
        finally:
            writer.close()


async def read_socket(path: Path, *, timeout_s: float, limit_bytes: int) -> bytes | None:
    """What a process shows, None if it does not within the time and size; removes a socket nobody listens on."""
    writer = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(path)
            parts: list[bytes] = []
            size = 0
            while part := await reader.read(65_536):
                parts.append(part)
                size += len(part)
                if size > limit_bytes:
                    return None
            return b"".join(parts)
    except (ConnectionRefusedError, FileNotFoundError):
        _remove(path)
        return None
    except (OSError, TimeoutError):
        return None
    finally:
        if writer is not None:
            with contextlib.suppress(OSError):
                writer.close()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
