"""The file: one row a user and game, ``user_id,game_title,hours_played``, with a header line. Rows may repeat."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from pathlib import Path

COLUMNS = ("user_id", "game_title", "hours_played")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlayRow:
    user: str
    title: str
    hours: float


class BadPlayFile(Exception):
    """A line that is no row; nothing was played. ``line`` counts from 1, the header's."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


def read_play_file(path: Path, limit_rows: int | None = None) -> list[PlayRow]:
    """The first ``limit_rows`` rows, or all. Raises ``BadPlayFile``, ``OSError``."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return list(islice(_rows(lines), limit_rows))


def _rows(lines: Iterable[str]) -> Iterator[PlayRow]:
    reader = csv.reader(lines)
    try:
        if tuple(next(reader, ())) != COLUMNS:
            raise BadPlayFile(1, f"the header is not {','.join(COLUMNS)}")
        for fields in reader:
            if fields:
                yield _row(fields, reader.line_num)
    except UnicodeDecodeError as error:
        raise BadPlayFile(reader.line_num + 1, "not UTF-8") from error
    except csv.Error as error:
        raise BadPlayFile(reader.line_num, str(error)) from error


def _row(fields: list[str], line: int) -> PlayRow:
    if len(fields) != len(COLUMNS):
        raise BadPlayFile(line, f"{len(fields)} fields instead of {len(COLUMNS)}")
    user, title, hours_text = fields
    try:
        hours = float(hours_text)
    except ValueError:
        hours = -1.0
    if not user or not title:
        raise BadPlayFile(line, "a user and a title are needed")
    if not isfinite(hours) or hours < 0:
        raise BadPlayFile(line, f"{hours_text!r} are no hours")
    return PlayRow(user=user, title=title, hours=hours)
