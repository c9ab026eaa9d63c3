"""Pretended processes inside one event loop: whatever a process starts carries its mark, so it can be killed or frozen.

A killed process never runs again: no ``finally``, no last word, as with ``kill -9``. A frozen one runs nothing until it
is thawed, and then everything it missed, as with SIGSTOP and SIGCONT.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

PROCESS: contextvars.ContextVar["Process | None"] = contextvars.ContextVar("process", default=None)


class Process:
    """Made with a context in which everything of it runs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.killed = False
        self.frozen = False
        self.halted = False
        self.on_end: list[Callable[[], None]] = []
        self._missed: list[Callable[[], None]] = []
        self.context = contextvars.copy_context()
        self.context.run(PROCESS.set, self)

    def start(self, coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Runs it as this process."""
        return asyncio.get_running_loop().create_task(coroutine, context=self.context)

    def kill(self) -> None:
        """Its sockets break; nothing else of it is heard again."""
        self.killed = self.halted = True
        self._missed.clear()
        for end in self.on_end:
            end()
        self.on_end.clear()

    def freeze(self) -> None:
        self.frozen = self.halted = True

    def thaw(self) -> None:
        self.frozen = False
        self.halted = self.killed
        missed, self._missed = self._missed, []
        for reschedule in missed:
            reschedule()

    def miss(self, reschedule: Callable[[], None]) -> None:
        """A callback that is due while the process is halted: a frozen one keeps it for later."""
        if not self.killed:
            self._missed.append(reschedule)


def current_process(context: contextvars.Context | None = None) -> Process | None:
    """The process that a context (else the running one) belongs to; None for the world outside."""
    return PROCESS.get() if context is None else context.get(PROCESS)
