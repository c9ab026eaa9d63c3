"""What the development stack remembers, and what it must not believe."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from cluster.dev.errors import DevStackError
from cluster.dev.ports import Ports, is_free
from cluster.dev.process import ProcessId, start_token
from cluster.dev.state import State, file_lock


def test_values_are_kept_section_by_section_and_only_for_their_owner(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.update("ports", kafka=20_001)
    state.update("ports", ray=20_002)
    state.update("postgres", password="secret")
    state.remove("postgres")
    again = State(tmp_path)
    assert again.get("ports") == {"kafka": 20_001, "ray": 20_002}
    assert again.get("postgres") == {}
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600


def test_a_copied_directory_does_not_take_the_originals_servers_for_its_own(tmp_path: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    State(original).update("process.kafka", pid=1, started="x")
    shutil.copytree(original, copy)
    assert State(copy).get("process.kafka") == {}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(DevStackError, match=r"state\.json is not readable JSON"):
        State(tmp_path).get("ports")


def test_a_lock_that_another_holds_is_waited_for_only_so_long(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with (
        file_lock(lock, 1.0, "first"),
        pytest.raises(DevStackError, match="second"),
        file_lock(lock, 0.1, "second"),
    ):
        pass


def test_a_port_stays_the_same_while_it_is_free_and_changes_when_it_is_not(tmp_path: Path) -> None:
    ports = Ports(State(tmp_path))
    kafka, ray = ports.take("kafka", "ray")
    assert kafka != ray
    assert Ports(State(tmp_path)).take("kafka", "ray") == (kafka, ray)
    with socket.socket() as other:
        other.bind(("127.0.0.1", kafka))
        other.listen()
        assert not is_free(kafka)
        assert ports.take("kafka") != (kafka,)


def test_a_process_is_its_pid_and_its_start() -> None:
    token = start_token(os.getpid())
    assert token is not None
    assert ProcessId(pid=os.getpid(), started=token).alive()
    assert not ProcessId(pid=os.getpid(), started="another").alive()


def test_a_process_that_only_waits_to_be_reaped_is_gone() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert start_token(child.pid) is None
    child.wait()
