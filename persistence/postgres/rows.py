"""Many rows in one statement: columns as arrays, ``unnest`` in SQL. The cheapest way asyncpg has, and one plan for any
number of rows."""

from collections.abc import Iterable, Sequence
from typing import Final

from actors.ports import CommitRefused
from persistence.postgres.connection import Session

ROWS_A_STATEMENT: Final = 2000
"""Encoding is work of the event loop: this many rows are about 5 ms of it."""


def columns(rows: Iterable[Sequence[object]]) -> list[Sequence[object]]:
    """Rows turned into one array a column."""
    return list(zip(*rows, strict=True))


async def write_rows(session: Session, sql: str, rows: Sequence[Sequence[object]]) -> None:
    """Runs a statement whose parameters are the arrays of the rows' columns, a bounded number of rows at a time.

    ``CommitRefused`` when it does not write every row; driver errors go through.
    """
    for first in range(0, len(rows), ROWS_A_STATEMENT):
        part = rows[first : first + ROWS_A_STATEMENT]
        status = await session.execute(sql, *columns(part))
        written = int(status.rpartition(" ")[2])
        if written != len(part):
            raise CommitRefused(f"{written} of {len(part)} rows were written by: {sql.strip().splitlines()[0]}")
