"""The life of one server of the stack: start, stop, kill; the same for every part, each file adds how.

    absent ──start()──▶ running ──stop()──▶ absent
                           │
                           └─ dies, or kill() ──▶ dead ──start() or stop()──▶ ...

A *dead* part is one that the state still names: that is how a watcher, in whatever process, tells a death from a stop.
`start()` of a running part changes nothing, so commands may be repeated and killed at any moment.
"""

from __future__ import annotations

import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from cluster.dev.errors import DevStackError
from cluster.dev.ports import Ports
from cluster.dev.process import ProcessId, ServerProcess, wait_until_gone
from cluster.dev.state import State

STRAY_TIMEOUT_S = 15.0
STRAY_ROUNDS = 5


class Progress(Protocol):
    """Called from several threads with what a part is doing now; `done` is the fraction of it, where known."""

    def __call__(self, part: str, text: str, done: float | None = None) -> None: ...


def silent(part: str, text: str, done: float | None = None) -> None:
    """The progress callback of those who show nothing."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where the parts of one stack live and what they share."""

    directory: Path
    state: State
    progress: Progress = silent
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def ports(self) -> Ports:
        return Ports(self.state)


class Part(ABC):
    """One server. Methods raise DevStackError; none of them waits without a limit."""

    name: ClassVar[str]
    title: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_grace_s: ClassVar[float] = 20.0
    stray_grace_s: ClassVar[float] = 3.0
    start_timeout_s: ClassVar[float] = 60.0

    def __init__(self, site: Site) -> None:
        self.site = site
        self.process = ServerProcess(
            self.name, site.state, site.directory / f"{self.name}.log", is_cancelled=site.cancelled.is_set
        )

    @property
    def pid(self) -> int | None:
        """Of the leading process; None unless it is alive."""
        identity = self.process.identity
        return identity.pid if identity is not None and self.process.alive() else None

    @property
    def running(self) -> bool:
        return self.process.alive()

    @property
    def died(self) -> bool:
        """Was started, was not stopped, and is gone all the same."""
        return self.process.identity is not None and not self.process.alive() and not self.process.ended

    def start(self) -> None:
        """Returns when the server answers; a running one is kept."""
        if not self.process.alive():
            self.end_strays()
            self.launch()
        self.process.wait_ready(self.ready, self.start_timeout_s)
        self.prepare()
        self.site.progress(self.name, "ready", 1.0)

    def stop(self) -> None:
        """Ends every process of the part; its data stay. Nothing happens if there is none."""
        self.process.end(self.stop_signal, self.stop_grace_s)
        self.end_strays()
        self.clean_up()
        self.site.progress(self.name, "stopped", 1.0)

    def kill(self) -> None:
        """SIGKILL of the leading process, as a crash would be; what it leaves behind is left to `start()`."""
        self.process.kill()

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """A watcher lets it be if it dies meanwhile, as on a full disk; whoever asks for this starts it again."""
        self.process.expect_end(True)
        try:
            yield
        finally:
            if self.process.alive():
                self.process.expect_end(False)

    def end_strays(self) -> None:
        """Ends what an earlier process of this part left running; first waits, since most of it leaves by itself."""
        left = wait_until_gone(self.strays(), self.stray_grace_s)
        for _ in range(STRAY_ROUNDS):  # one that is ended may just have started another
            if not left:
                return
            for process in left:
                process.send(signal.SIGKILL)
            wait_until_gone(left, STRAY_TIMEOUT_S)
            left = self.strays()
        raise DevStackError(self.name, f"process {left[0].pid} of an earlier start does not end")

    @abstractmethod
    def strays(self) -> list[ProcessId]:
        """Living processes of this part other than the leading one, told by what nothing else has."""

    @abstractmethod
    def launch(self) -> None:
        """Installs what is missing and spawns the process; does not wait for it to answer."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether the server answers now; called again and again, so it is cheap and raises nothing."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The service's variables (specification 7.1) that point to this server."""

    @abstractmethod
    def address(self) -> str:
        """For people: where it listens."""

    def prepare(self) -> None:  # noqa: B027 - most parts need nothing
        """What a server that answers still needs before the service can use it; may be repeated."""

    def clean_up(self) -> None:  # noqa: B027 - most parts need nothing
        """Removes what is worth nothing once the server has stopped."""

    def forget(self) -> None:  # noqa: B027 - most parts need nothing
        """Removes the data that lie outside of the stack's directory."""
