"""Shows what the parts of the development stack are doing: bars on a terminal, one line a step elsewhere."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class StackProgress:
    """A progress callback for DevStack, to be used as a context manager around its calls."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._last: dict[str, str] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bars = Progress(
            TextColumn("{task.fields[part]:<10}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, part: str, text: str, done: float | None = None) -> None:
        with self._lock:
            if self._console.is_terminal:
                self._show_bar(part, text, done)
            elif self._last.get(part) != text:
                self._console.print(f"{part}: {text}", highlight=False)
            self._last[part] = text

    def _show_bar(self, part: str, text: str, done: float | None) -> None:
        if part not in self._tasks:
            self._tasks[part] = self._bars.add_task(text, part=part, total=None)
        task = self._tasks[part]
        if done is None:
            self._bars.update(task, description=text, total=None)
        else:
            self._bars.update(task, description=text, total=1.0, completed=done)
