"""The `library` command: helpful, one line for what went wrong, and an exit status that scripts can trust."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.cli import main
from cluster.dev.stack import DevStack
from cluster.development import NO_SERVERS
from cluster.terminal.failures import one_line
from persistence.kafka.dead_letter_box import Letter, Origin, OriginalGone


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    output = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, output.out, output.err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(["--help"], capsys)
    assert status == 0
    assert all(f"\n  {name} " in out for name in ("dev", "migrate"))


def test_a_wrong_setting_is_one_line_and_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POSTGRES_DSN", raising=False)
    status, _, err = run(["migrate"], capsys)
    assert status == 1
    assert err.startswith("library: POSTGRES_DSN: is missing; allowed: ")
    assert err.count("\n") == 1


def test_a_server_that_is_not_there_is_one_line_and_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTGRES_DSN", "postgresql://nobody@127.0.0.1:1/nothing")
    status, _, err = run(["migrate"], capsys)
    assert status == 1
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["release status", "release finish", "hosts list", "hosts scale 2"])
def test_a_database_that_is_not_there_is_one_line_and_status_1(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"LIBRARY_ENVIRONMENT": "development", **NO_SERVERS}.items():
        monkeypatch.setenv(name, value)
    status, _, err = run([*command.split(), "--dir", str(tmp_path)], capsys)
    assert status == 1
    assert err.startswith("library: the database cannot be read now: ")
    assert err.count("\n") == 1


def test_a_dead_letter_without_its_original_is_one_line() -> None:
    letter = Letter(
        id="0-7",
        place=(0, 7),
        origin=Origin("orders", 0, 7, 0),
        put_ms=0,
        reason="TOO_LARGE",
        detail="",
        event_id=None,
        key=None,
        size_bytes=2_000_000,
        is_truncated=True,
        replays=0,
    )
    assert one_line(OriginalGone(letter)) == str(OriginalGone(letter))


def test_a_stack_that_cannot_be_is_one_line_and_status_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, _, err = run(["dev", "up", "--dir", str(tmp_path / "file" / "below")], capsys)
    assert status == 1
    assert err.startswith("library: stack: cannot create ")
    assert err.count("\n") == 1


def test_nothing_running_is_status_1_for_scripts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["dev", "status", "--dir", str(tmp_path / "none")], capsys)[0] == 1
    assert run(["dev", "env", "--dir", str(tmp_path / "none")], capsys)[0] == 1


def test_a_stopped_stack_has_nothing_to_point_a_service_to(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Status 1 and not one variable, so that a script's ``eval`` finds out."""
    DevStack(tmp_path)
    status, out, err = run(["dev", "env", "--dir", str(tmp_path)], capsys)
    assert (status, out) == (1, "")
    assert "nothing runs" in err
    assert not (tmp_path / "certificates").exists()


def test_wrong_usage_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["no-such-command"], capsys)[0] == 2
    assert run(["dev", "up", "--no-such-option"], capsys)[0] == 2
