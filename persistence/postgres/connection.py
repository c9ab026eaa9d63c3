"""How a session with Postgres is opened, and what a driver's error means for a commit.

Promise 1 hangs on two rules kept here. A commit is never cancelled: a cancelled commit that waits for a standby counts
as done on the primary alone, and a cancel request may hit the statement after the one it was meant for. And an error
counts as "it did not happen" only when the server itself said so.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from actors.ports import CommitRefused, OutcomeUnknown, StoreError, StoreUnavailable

DRIVER_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""All that asyncpg raises while it talks to a server; anything else is a mistake of ours and goes through."""

_UNKNOWN_STATES: Final = frozenset({"08007", "40003"})
"""Errors by which the server says that it does not know either."""


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long each kind of wait may take, seconds. ``tcp_user_s`` is when the server gives up a silent client."""

    connect_s: float = 5
    lock_s: float = 5
    commit_s: float = 5
    flush_s: float = 30
    read_s: float = 10
    takeover_s: float = 20
    tcp_user_s: float = 10

    def __post_init__(self) -> None:
        if self.takeover_s <= self.lock_s:
            raise ValueError("takeover_s must exceed lock_s: a takeover waits for locks")


class Session(asyncpg.Connection):
    """A connection that closes where asyncpg would send a cancel request: on a time-out, or when its task is cancelled.

    The server then finishes the statement or not; whoever waited has an unknown outcome and recovers.
    """

    def _cancel_current_command(self, *_waiters: object) -> None:
        asyncio.get_running_loop().call_soon(self.terminate)


async def open_session(
    dsn: str, *, application_name: str, timeouts: Timeouts, settings: Mapping[str, str] | None = None
) -> Session:
    """A direct connection to the primary for a host's journal or flush. Raises ``StoreUnavailable``.

    ``statement_timeout`` stays off: it is a cancel, too.
    """
    try:
        connection = await asyncpg.connect(
            dsn,
            timeout=timeouts.connect_s,
            connection_class=Session,
            max_cached_statement_lifetime=0,
            target_session_attrs=SessionAttribute.read_write,
            server_settings={
                "application_name": application_name,
                "default_transaction_isolation": "read committed",
                "synchronous_commit": "on",
                "statement_timeout": "0",
                "idle_session_timeout": "0",
                "lock_timeout": milliseconds(timeouts.lock_s),
                **alive_settings(timeouts),
                **(settings or {}),
            },
        )
    except DRIVER_ERRORS as error:
        raise unavailable(error) from error
    return connection


def alive_settings(timeouts: Timeouts) -> dict[str, str]:
    """By which the server notices a client that is gone without a word."""
    return {
        "tcp_user_timeout": milliseconds(timeouts.tcp_user_s),
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
        "jit": "off",
        "timezone": "UTC",
    }


def milliseconds(seconds: float) -> str:
    """As the server's settings are written."""
    return f"{int(seconds * 1000)}ms"


def commit_outcome(error: BaseException) -> StoreError:
    """What a driver's error says about the commit it came from: refused for certain, or unknown."""
    if isinstance(error, asyncpg.PostgresError):
        severity = getattr(error, "severity_en", None) or getattr(error, "severity", None)
        never_sent = severity is None and isinstance(error, asyncpg.DataError)
        if never_sent or (severity == "ERROR" and error.sqlstate not in _UNKNOWN_STATES):
            return CommitRefused(f"{error.sqlstate} {error}")
    return OutcomeUnknown(f"{type(error).__name__}: {error}")


def unavailable(error: BaseException) -> StoreUnavailable:
    """For reads and for what is tried again as a whole."""
    return StoreUnavailable(f"{type(error).__name__}: {error}")
