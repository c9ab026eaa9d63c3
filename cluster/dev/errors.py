"""What the development stack raises: always which part, what is wrong with it, and the end of its log."""

from __future__ import annotations


class DevStackError(Exception):
    """A part of the development stack cannot be started, stopped or kept alive.

    `problem` is one line for a person and says what to do where that is known; `log_tail` holds the last lines of the
    part's log, oldest first, and is empty if the part never wrote any.
    """

    def __init__(self, part: str, problem: str, log_tail: tuple[str, ...] = ()) -> None:
        super().__init__(part, problem, log_tail)
        self.part = part
        self.problem = problem
        self.log_tail = log_tail

    def __str__(self) -> str:
        head = f"{self.part}: {self.problem}"
        return "\n".join([head, *(f"  | {line}" for line in self.log_tail)])


class CancelledError(DevStackError):
    """A start was given up because the caller asked for it (Ctrl-C), not because anything is wrong."""
