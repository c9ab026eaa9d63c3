"""JSON lines on stderr, one an event, with the ids that tie them together (R-OBS-1, R-SEC-3).

Fields: ``time`` (RFC 3339, UTC), ``level``, ``logger``, ``message``, ``process``, and ``user_id``, ``session_id``,
``trace_id`` and others where the caller passes them as ``extra``. Tokens and passwords that slip into a text are
masked as it is written; nothing should rely on that.
"""

import asyncio
import logging
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

from pythonjsonlogger.json import JsonFormatter

_SECRETS = (
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*"), "<token>"),
    (re.compile(r"(?i)\b(bearer\s+)[^\s\"'\\,;]+"), r"\1<token>"),
    (re.compile(r"(://[^/\s:@\"'\\]+:)[^@\s/\"'\\]+@"), r"\1<secret>@"),
    (re.compile(r"(?i)\b((?:password|secret|passwd|sasl_plain_password)\s*[=:]\s*)[^\s,;&)\"'\\]+"), r"\1<secret>"),
)

_NOISY = ("asyncio", "uvicorn", "uvicorn.error", "uvicorn.access", "aiokafka")


def configure_logging(*, process: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Replaces this process' log handlers. ``level`` as in ``LOG_LEVEL``; ``ValueError`` for an unknown one."""
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonLines(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(max(logging.WARNING, root.level))


class JsonLines(JsonFormatter):
    def __init__(self, process: str) -> None:
        super().__init__(json_ensure_ascii=False)
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        log_data["process"] = self._process
        super().add_fields(log_data, record, message_dict)


def mask(text: str) -> str:
    """The text without what looks like a token or a password."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class LogBudget:
    """Keeps a flood of errors from becoming a flood of lines: so many a second, the rest only counted."""

    def __init__(self, *, lines_per_second: int, monotonic: Callable[[], float] | None = None) -> None:
        self._limit = lines_per_second
        self._monotonic = monotonic
        self._second = -1
        self._used = 0
        self.suppressed = 0

    def allows(self) -> bool:
        now = self._monotonic() if self._monotonic is not None else asyncio.get_running_loop().time()
        if int(now) != self._second:
            self._second, self._used = int(now), 0
        self._used += 1
        if self._used <= self._limit:
            return True
        self.suppressed += 1
        return False
