"""JSON lines with the ids that tie them together, and no secrets (R-OBS-1, R-SEC-3)."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from actors.link.handshake import Credentials
from actors.telemetry.logs import LogBudget, configure_logging, mask
from persistence.kafka.connection import KafkaConnection
from persistence.redis.connection import RedisSettings
from serve_app.jwks import VerificationKey
from serve_app.settings import AuthSettings


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logging(process="door-1", level="info", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_says_who_when_where_and_what(lines: io.StringIO) -> None:
    """R-OBS-1."""
    logging.getLogger("library.access").info(
        "session started", extra={"user_id": "u", "session_id": "s", "trace_id": "t"}
    )
    logging.getLogger("library.access").debug("not shown")
    (line,) = [json.loads(text) for text in lines.getvalue().splitlines()]
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "library.access",
        "message": "session started",
        "process": "door-1",
        "user_id": "u",
        "session_id": "s",
        "trace_id": "t",
    }


def test_a_crash_is_one_line_too(lines: io.StringIO) -> None:
    try:
        raise KeyError("x\ny")
    except KeyError:
        logging.getLogger("a").exception("failed")
    (line,) = [json.loads(text) for text in lines.getvalue().splitlines()]
    assert "KeyError" in line["exc_info"]


@pytest.mark.parametrize(
    "text",
    [
        "authorization: Bearer SECRET",
        "bearer SECRET, next",
        "token eyJhbGciOiJub25lIn0.SECRET.SECRET was bad",
        "postgres://library:SECRET@db:5432/library",
        "password=SECRET",
        "connect(password: SECRET)",
    ],
)
def test_secrets_are_masked(lines: io.StringIO, text: str) -> None:
    """R-SEC-3: never logged, not even by accident, nor inside a traceback."""
    assert "SECRET" not in mask(text)
    try:
        raise ValueError(text)
    except ValueError:
        logging.getLogger("a").exception("failed with %s", text, extra={"detail": text})
    assert "SECRET" not in lines.getvalue()
    json.loads(lines.getvalue())


def test_what_holds_a_secret_does_not_show_it() -> None:
    """R-SEC-3: a value that is logged, or stands in a failed assertion."""
    shown = [
        KafkaConnection(brokers="k:1", sasl_password="SECRET", key_password="SECRET"),
        RedisSettings(host="r", port=1, password="SECRET"),
        Credentials(cluster="c", secret=b"SECRET"),
        AuthSettings(hs256_secret=b"SECRET" * 6),
        VerificationKey(kid="", algorithm="HS256", key=b"SECRET"),
    ]
    assert "SECRET" not in repr(shown)


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="LOUD"):
        configure_logging(process="x", level="loud", stream=io.StringIO())


def test_a_flood_becomes_a_few_lines_a_second() -> None:
    """Promise 6."""
    now = 0.0
    budget = LogBudget(lines_per_second=2, monotonic=lambda: now)
    assert [budget.allows() for _ in range(4)] == [True, True, False, False]
    now = 1.0
    assert budget.allows()
    assert budget.suppressed == 2
